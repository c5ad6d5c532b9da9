"""L∞ projected gradient descent by Foolbox (Madry et al., 2018, arXiv:1706.06083), against a model of images in [0, 1].

From the image itself, or from random starts within epsilon of it, which are functions of sample and restart. Whatever
withstands an attack may fall to another: accuracies under one are upper bounds of the true robustness.

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
    # Foolbox 3.3 imports scipy.ndimage by an old name.
    warnings.simplefilter("ignore", DeprecationWarning)
    import eagerpy
    from foolbox import PyTorchModel
    from foolbox.attacks import LinfProjectedGradientDescentAttack


class Descent(LinfProjectedGradientDescentAttack):
    """Foolbox's PGD with a start that is given, in [−1, 1] of epsilon around the images; without one, from these."""

    def __init__(self, setting: AttackSetting, start_BCHW: Tensor | None) -> None:
        super().__init__(rel_stepsize=setting.step, steps=setting.iterations, random_start=start_BCHW is not None)
        self.start_BCHW = start_BCHW

    def get_random_start(self, x0: eagerpy.Tensor, epsilon: float) -> eagerpy.Tensor:
        return x0 if self.start_BCHW is None else x0 + eagerpy.astensor(epsilon * self.start_BCHW)


def predictions(
    model: nn.Module, images_BCHW: Tensor, labels_B: Tensor, indices: NDArray[np.int64], setting: AttackSetting
) -> Tensor:
    """The classes (B,) that the model says under an attack: of several restarts, the first that is wrong."""
    predicted_B = labels_B.clone()
    for restart in range(setting.restarts):
        left_B = predicted_B == labels_B
        if left_B.any():
            some = images_BCHW[left_B], labels_B[left_B]
            start_BCHW = start(indices[left_B.cpu().numpy()], some[0], restart) if setting.random_start else None
            with torch.no_grad():
                predicted_B[left_B] = model(perturb(model, *some, setting, start_BCHW)).argmax(1)
    return predicted_B


def perturb(
    model: nn.Module, images_BCHW: Tensor, labels_B: Tensor, setting: AttackSetting, start_BCHW: Tensor | None = None
) -> Tensor:
    """Adversarial images, within epsilon of the given ones and within [0, 1].

    Raises:
        Failure: the model is in training mode, so that its answer would depend on the batch, or the images are not
            what epsilon is measured in.
    """
    if model.training:
        raise Failure("the attacked model is in training mode; call eval() first")
    low, high = images_BCHW.min().item(), images_BCHW.max().item()
    if not 0 <= low <= high <= 1:
        raise Failure(f"attacked images are in [0, 1] and normalised by the model; these are in [{low:g}, {high:g}]")
    target = PyTorchModel(model, bounds=(0, 1), device=images_BCHW.device)
    with torch.enable_grad():
        return Descent(setting, start_BCHW).run(target, images_BCHW, labels_B, epsilon=setting.epsilon)


def start(indices: NDArray[np.int64], images_BCHW: Tensor, restart: int) -> Tensor:
    """Uniform numbers in [−1, 1) for each value of each image: the same for a sample in any batch."""
    values = images_BCHW[0].numel()
    drawn = uniforms(indices[:, None] * values + np.arange(values), "attack", restart)
    return torch.from_numpy(2 * drawn - 1).to(images_BCHW).view_as(images_BCHW)
