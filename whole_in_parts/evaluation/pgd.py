"""L∞ projected gradient descent by Foolbox (Madry et al., 2018, arXiv:1706.06083), on images in [0, 1].

The attack starts from the image itself, or from random points within epsilon of it, which are functions of the sample
index and the restart. A stronger attack may succeed where this one fails, so that accuracy under attack is an upper
bound of the true robustness.

Shapes: B images, C channels, H×W pixels.
"""

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from whole_in_parts.augment.randomness import uniforms
from whole_in_parts.config.evaluations import AttackSetting
from whole_in_parts.failure import Failure

with warnings.catch_warnings():
    # Foolbox 3.3 imports a deprecated module of scipy.ndimage.
    warnings.simplefilter("ignore", DeprecationWarning)
    import eagerpy
    from foolbox import PyTorchModel
    from foolbox.attacks import LinfProjectedGradientDescentAttack


class PGDFromStart(LinfProjectedGradientDescentAttack):
    """Foolbox's PGD from a given start, in [−1, 1] as shares of epsilon around the images, or from the images."""

    def __init__(self, setting: AttackSetting, start_BCHW: Tensor | None) -> None:
        super().__init__(rel_stepsize=setting.step, steps=setting.iterations, random_start=start_BCHW is not None)
        self.start_BCHW = start_BCHW

    def get_random_start(self, x0: eagerpy.Tensor, epsilon: float) -> eagerpy.Tensor:
        return x0 if self.start_BCHW is None else x0 + eagerpy.astensor(epsilon * self.start_BCHW)


def predict_under_attack(
    model: nn.Module, images_BCHW: Tensor, labels_B: Tensor, indices: NDArray[np.int64], setting: AttackSetting
) -> Tensor:
    """Predict the classes (B,) of attacked images: the first wrong prediction of all restarts, or the correct class."""
    predicted_B = labels_B.clone()
    for restart in range(setting.restarts):
        # Attack only the images that have withstood all restarts so far.
        robust_B = predicted_B == labels_B
        if not robust_B.any():
            continue
        robust_BCHW = images_BCHW[robust_B]
        start_BCHW = None
        if setting.random_start:
            start_BCHW = random_start(indices[robust_B.cpu().numpy()], robust_BCHW, restart)
        with torch.no_grad():
            adversarial_BCHW = perturb(model, robust_BCHW, labels_B[robust_B], setting, start_BCHW)
            predicted_B[robust_B] = model(adversarial_BCHW).argmax(1)
    return predicted_B


def perturb(
    model: nn.Module, images_BCHW: Tensor, labels_B: Tensor, setting: AttackSetting, start_BCHW: Tensor | None = None
) -> Tensor:
    """Compute adversarial images, within epsilon of the images and within [0, 1].

    Raises:
        Failure: the model is in training mode, where its output depends on the batch, or the images are not in [0, 1],
            the range that epsilon refers to.
    """
    if model.training:
        raise Failure("the attacked model is in training mode; call eval() first")

    low = images_BCHW.min().item()
    high = images_BCHW.max().item()
    if not 0 <= low <= high <= 1:
        raise Failure(f"attacked images are in [0, 1] and normalised by the model; these are in [{low:g}, {high:g}]")

    target = PyTorchModel(model, bounds=(0, 1), device=images_BCHW.device)
    with torch.enable_grad():
        return PGDFromStart(setting, start_BCHW).run(target, images_BCHW, labels_B, epsilon=setting.epsilon)


def random_start(indices: NDArray[np.int64], images_BCHW: Tensor, restart: int) -> Tensor:
    """Draw uniform numbers in [−1, 1), of the shape of the images; they do not depend on a sample's batch."""
    values = images_BCHW[0].numel()
    drawn = uniforms(indices[:, None] * values + np.arange(values), "attack", restart)
    return torch.from_numpy(2 * drawn - 1).to(images_BCHW).view_as(images_BCHW)
