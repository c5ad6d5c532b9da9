"""A step on the accelerator that is here gives the loss and the gradient of a step on a CPU in single precision.

Without a GPU, bfloat16 is compared on the CPU.
"""

import math

import pytest
import torch

from tests.every_method import TRAINS
from tests.golden.training import STEPS, batch, double_method
from whole_in_parts.augment.views import Batch
from whole_in_parts.config.precision import Precision
from whole_in_parts.distributed.environment import default_device
from whole_in_parts.methods.base import Method
from whole_in_parts.models.precision import autocast
from whole_in_parts.schedules import Clock

CPU = torch.device("cpu")
HERE = default_device()


def step(name: str, modifier: str, device: torch.device, precision: Precision) -> tuple[float, torch.Tensor]:
    """Return the loss and the gradient of the first step of a method, in double precision on the CPU."""
    method = double_method(name, modifier).float().to(device)
    drawn = batch(method, 0)
    images = drawn._replace(views=[view.float() for view in drawn.views])
    torch.manual_seed(0)
    method.prepare(Clock(STEPS // 2, STEPS, STEPS // 2, 0.01))
    with autocast(precision, device):
        losses = method(on(images, device)).losses
    method.backward(losses)
    return sum(loss.item() for loss in losses.values()), gradient(method)


def on(images: Batch, device: torch.device) -> Batch:
    """Move a batch to a device."""
    return images._replace(
        views=[view.to(device) for view in images.views],
        labels_B=images.labels_B.to(device),
    )


def gradient(method: Method) -> torch.Tensor:
    """Return the gradients of all parameters as one vector."""
    found = [parameter.grad for parameter in method.parameters() if parameter.grad is not None]
    return torch.cat([each.detach().double().flatten().cpu() for each in found])


@pytest.mark.parametrize(
    ("precision", "of_loss", "of_gradient"),
    [
        pytest.param("float32", 1e-3, 1e-3, marks=pytest.mark.skipif(HERE == CPU, reason="no accelerator")),
        ("bfloat16", 3e-2, 1e-1),
    ],
)
@pytest.mark.parametrize(("name", "modifier"), TRAINS)
def test_a_step_agrees_with_one_on_a_cpu(name, modifier, precision, of_loss, of_gradient):
    expected_loss, expected = step(name, modifier, CPU, "float32")
    loss, found = step(name, modifier, HERE, precision)
    assert math.isclose(loss, expected_loss, rel_tol=of_loss, abs_tol=of_loss)
    assert torch.nn.functional.cosine_similarity(found, expected, dim=0).item() > 1 - of_gradient
