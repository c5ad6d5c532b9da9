"""Defocus blur: the kernel is a disk; the constants are its radius and the deviation that blurs its edge, in pixels."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

CONSTANTS = {
    "ImageNet-C": ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
    "Tiny-ImageNet-C": ((0.5, 0.6), (1, 0.1), (1.5, 0.1), (2.5, 0.01), (3, 0.1)),
    "CIFAR-C": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
}


def apply(images_BCHW: Tensor, constant: tuple[float, float], indices: NDArray[np.int64], severity: int) -> Tensor:
    """Convolve by FFT, since torch has no fast convolution in double precision; the kernel is symmetric."""
    kernel_KK = disk_kernel(*constant).to(images_BCHW.device)
    border = len(kernel_KK) // 2
    padded_BCHW = F.pad(images_BCHW, (border,) * 4, mode="reflect")
    extent = padded_BCHW.shape[2:]
    spectrum = torch.fft.rfft2(padded_BCHW) * torch.fft.rfft2(kernel_KK, s=extent)
    return torch.fft.irfft2(spectrum, s=extent)[..., 2 * border :, 2 * border :]


def disk_kernel(radius: float, sigma: float) -> Tensor:
    """Build a disk with an edge blurred by a small Gaussian kernel, cropped to its non-zero rows and columns.

    The grid is that of the released code, which matters where the disk reaches its border.
    """
    reach, half = (8, 1) if radius <= 8 else (int(radius), 2)
    steps = torch.arange(-reach, reach + 1, dtype=torch.float64)
    inside_KK = ((steps[:, None] ** 2 + steps[None, :] ** 2) <= radius**2).double()

    offsets = torch.arange(-half, half + 1, dtype=torch.float64)
    gaussian_K = torch.exp(-(offsets**2) / (2 * sigma**2))
    gaussian_K = gaussian_K / gaussian_K.sum()

    padded = F.pad((inside_KK / inside_KK.sum())[None, None], (half,) * 4, mode="reflect")
    kernel_KK = F.conv2d(padded, (gaussian_K[:, None] * gaussian_K[None, :])[None, None])[0, 0]

    used = kernel_KK.sum(0).nonzero().flatten()
    return kernel_KK[used[0] : used[-1] + 1, used[0] : used[-1] + 1]
