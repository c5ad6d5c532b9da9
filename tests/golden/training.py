"""The first losses of every method with every modifier, in double precision: `python -m tests.golden.training`.

A refactoring must leave them as they are. Where a method is meant to change, write them anew and say why in the commit.
"""

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from tests.every_method import METHODS, MODIFIERS, TRAINS, VIEW
from tests.fake_results import RESNET
from whole_in_parts.augment.views import Batch, make_batch
from whole_in_parts.config.backbones.resnet import ResNetConfig
from whole_in_parts.methods.base import Method, build_method
from whole_in_parts.models.backbone import build_backbone
from whole_in_parts.modifiers.base import apply_modifier
from whole_in_parts.schedules import Clock

LOSSES = Path(__file__).parent / "losses.json"
STEPS = 30
BATCH = 16
SIZE = 12
LEARNING_RATE = 0.01
BACKBONE = ResNetConfig.model_validate(RESNET | {"stem": {"kernel": 3, "stride": 1, "pool": False}, "width": 8})


def losses(name: str, modifier: str) -> dict[str, list[float]]:
    """Each term of the loss in each step of a training from seed 0."""
    method = double_method(name, modifier)
    parameters = [parameter for parameter in method.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(parameters, LEARNING_RATE, momentum=0.9)

    found: dict[str, list[float]] = {}
    for step in range(STEPS):
        torch.manual_seed(step)
        clock = Clock(step, STEPS, STEPS // 2, LEARNING_RATE)
        method.prepare(clock)
        optimizer.zero_grad(set_to_none=True)
        terms = method(batch(method, step)).losses
        method.backward(terms)
        optimizer.step()
        method.update(clock._replace(step=step + 1))
        for term, loss in terms.items():
            found.setdefault(term, []).append(loss.item())
    return found


def double_method(name: str, modifier: str) -> Method:
    """The method from seed 0, its weights drawn in double precision.

    In single precision torch draws normal numbers by other instructions on other processors, with another rounding.
    """
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    try:
        base = build_method(METHODS[name], build_backbone(BACKBONE), 4, SIZE)
        return apply_modifier(base, MODIFIERS[modifier], SIZE).train()
    finally:
        torch.set_default_dtype(torch.float32)


def batch(method: Method, step: int) -> Batch:
    """The batch of a step: boxes as they are drawn, and views of random images in double precision.

    The views are nearest-neighbour resizes with noise. Those of the augmentations would be in single precision, whose
    rounding differs between processors, and a training magnifies it a thousandfold.
    """
    indices = (step * BATCH + np.arange(BATCH)) % (4 * BATCH)
    crops = method.crops([VIEW, VIEW], SIZE)
    pixels = torch.zeros(BATCH, 1, SIZE, SIZE, dtype=torch.uint8)
    drawn = make_batch(pixels, torch.from_numpy(indices) % 4, crops, indices, 0, step)

    generator = torch.Generator().manual_seed(1)
    images = torch.rand(4 * BATCH, 1, SIZE, SIZE, dtype=torch.float64, generator=generator)[indices]
    generator.manual_seed(step)
    views = [
        F.interpolate(images, crop.size)
        + 0.1 * torch.rand(BATCH, 1, crop.size, crop.size, dtype=torch.float64, generator=generator)
        for crop in crops
    ]
    return drawn._replace(views=views)


def main() -> None:
    """Write the losses as they are now, a line a term."""
    torch.set_num_threads(1)
    rows = [
        f'"{name} {modifier} {term}": {json.dumps(values)}'
        for name, modifier in TRAINS
        for term, values in losses(name, modifier).items()
    ]
    LOSSES.write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    main()
