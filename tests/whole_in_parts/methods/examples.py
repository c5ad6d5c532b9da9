"""Methods in float64 on a backbone of 32 features with a 4×4 map, and batches for them."""

import torch
from torch import Tensor

from tests.every_method import METHODS
from whole_in_parts.augment.views import Batch
from whole_in_parts.methods.base import build_method
from whole_in_parts.methods.joint_embedding import Embedded, JointEmbedding
from whole_in_parts.models.backbone import build_backbone
from whole_in_parts.modifiers.base import Modified, apply_modifier

IMAGES, SIZE, FEATURES = 6, 8, 32
EXACT = {"rtol": 1e-10, "atol": 1e-12}
"""What rounding makes of float64 in a few hundred operations."""


def made(small, method: str, **changes):
    """The method that `every_method.py` has, with some of its options changed; the seed is the same each time."""
    torch.manual_seed(0)
    options = METHODS[method].model_validate(METHODS[method].model_dump() | changes)
    return build_method(options, build_backbone(small.runs["byol"].backbone), 10, SIZE).double()


def modified(method: JointEmbedding, options) -> Modified:
    return apply_modifier(method, options, SIZE).double()  # type: ignore[return-value]


def batch(small_crops: int = 0, images: int = IMAGES) -> Batch:
    sizes = [SIZE] * 2 + [SIZE - 2] * small_crops
    views = [torch.rand(images, 1, size, size, dtype=torch.float64) for size in sizes]
    return Batch(views, [], [], torch.zeros(images, dtype=torch.long))


def apart(method) -> None:
    """Make the target networks of a method other networks than the online ones."""
    for name, parameter in method.named_parameters():
        if ".target." in name:
            parameter.data += 0.1 * torch.randn_like(parameter)


def embedded(method: JointEmbedding, given: Batch) -> Embedded:
    return method.embed_global(method.encode(given.views))


def both_ways(method: JointEmbedding, given: Embedded) -> Tensor:
    """The sum of `align` over both directions of two views."""
    first = method.align(given.online[0], given.target[1], method.heads)
    return first + method.align(given.online[1], given.target[0], method.heads)


def vectors(*shape: int, grad: bool = False) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, requires_grad=grad)


def unit(x_BD: Tensor) -> Tensor:
    return x_BD / x_BD.square().sum(-1, keepdim=True).sqrt()


def shapes(module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}
