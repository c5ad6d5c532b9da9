"""A program for torchrun: a few steps of every method with every modifier, in double precision, to a file.

What is written is what the leading process has: for each pair, the losses of each step and the weights at the end.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from tests.every_method import DISTILLATION, METHODS, MODIFIERS, PROJECTOR, SMALL, TRAINS, VIEW
from tests.fake_results import RESNET
from whole_in_parts.augment.views import Batch, make_batch
from whole_in_parts.config.backbones.resnet import ResNetConfig
from whole_in_parts.config.methods.dino import DinoConfig
from whole_in_parts.config.methods.swav import SwAVConfig
from whole_in_parts.config.modifiers.logo import LoGoConfig
from whole_in_parts.distributed.collectives import all_reduce_mean, local_shard, rank
from whole_in_parts.distributed.group import group
from whole_in_parts.distributed.replica import replicate
from whole_in_parts.methods.base import Method, build_method
from whole_in_parts.models.backbone import build_backbone
from whole_in_parts.modifiers.base import apply_modifier
from whole_in_parts.schedules import Clock

STEPS, BATCH, SIZE = 2, 16, 12
CPU = torch.device("cpu")
MORE_METHODS = METHODS | {
    "dino_frozen": DinoConfig(name="dino", **DISTILLATION | {"frozen_epochs": 1}),
    "swav_queue": SwAVConfig(
        name="swav", projector=PROJECTOR, prototypes=16, frozen_epochs=1, queue=64, queue_from_epoch=0
    ),
}
MORE_MODIFIERS = MODIFIERS | {
    "logo_public": LoGoConfig(name="logo", size=6, view=SMALL, mode="public", learning_rate=0.05)
}
PAIRS = [*TRAINS, ("dino_frozen", "none"), ("swav_queue", "co"), ("moco_v2", "logo_public"), ("byol", "logo_public")]
BACKBONE = ResNetConfig.model_validate(RESNET | {"stem": {"kernel": 3, "stride": 1, "pool": False}, "width": 8})


SOME = [("simclr", "co"), ("dino", "none"), ("moco_v2", "logo"), ("swav_queue", "co"), ("obow", "none")]
SOME += [("supervised", "none")]


def main(file: str, which: str) -> None:
    torch.set_num_threads(1)
    pairs = PAIRS if which == "all" else SOME
    with group(CPU):
        found = {f"{method}-{modifier}": steps(method, modifier) for method, modifier in pairs}
        if rank() == 0:
            torch.save(found, Path(file))


def steps(name: str, modifier: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    base = build_method(MORE_METHODS[name], build_backbone(BACKBONE), 4, SIZE)
    method = apply_modifier(base, MORE_MODIFIERS[modifier], SIZE).double().train()
    model = replicate(method, CPU)
    optimizer = torch.optim.SGD([each for each in method.parameters() if each.requires_grad], 0.05, momentum=0.9)
    found = {}
    for step in range(STEPS):
        torch.manual_seed(step)
        clock = Clock(step, STEPS, 2, 0.05)
        method.prepare(clock)
        optimizer.zero_grad(set_to_none=True)
        losses = model(batch(method, step)).losses
        method.backward(losses)
        optimizer.step()
        method.update(clock._replace(step=step + 1))
        found |= {f"step {step}: {loss}": all_reduce_mean(value.detach()) for loss, value in losses.items()}
    return found | {name: tensor for name, tensor in method.state_dict().items() if isinstance(tensor, torch.Tensor)}


def batch(method: Method, step: int) -> Batch:
    """This process's part of the batch of a step, of random images, in double precision."""
    own = local_shard(np.arange(step * BATCH, (step + 1) * BATCH))
    images = torch.randint(0, 256, (BATCH * STEPS, 1, SIZE, SIZE), generator=torch.Generator().manual_seed(1))
    labels_B, crops = torch.from_numpy(own) % 4, method.crops([VIEW, VIEW], SIZE)
    made = make_batch(images[own].to(torch.uint8), labels_B, crops, own, 0, step)
    return made._replace(views=[view.double() for view in made.views])


if __name__ == "__main__":
    main(*sys.argv[1:])
