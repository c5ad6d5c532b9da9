"""What a step asks of an accelerator, with one that is pretended (`tests/fake_cuda.py`)."""

import numpy as np
import pytest
import torch

from tests.every_method import METHODS, MODIFIERS, TRAINS
from tests.fake_cuda import CPU, GPU, Accelerator, put
from tests.fake_results import RESNET
from whole_in_parts.async_copy import copy_async
from whole_in_parts.config.backbones.resnet import ResNetConfig
from whole_in_parts.config.views import View
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.methods.base import build_method
from whole_in_parts.models.backbone import build_backbone
from whole_in_parts.modifiers.base import apply_modifier
from whole_in_parts.schedules import Clock
from whole_in_parts.training import optimizers
from whole_in_parts.training.loop import TrainState, iter_batches, train_step
from whole_in_parts.training.nonfinite_guard import NonFiniteGuard
from whole_in_parts.training.online import OnlineEvaluation

COLOUR = {"channels": 3, "mean": [0.5] * 3, "std": [0.25] * 3, "stem": {"kernel": 3, "stride": 1, "pool": False}}
BACKBONE = ResNetConfig.model_validate(RESNET | COLOUR | {"width": 8})
SIZE, BATCH, STEPS = 8, 16, 2
EVERYTHING = View(crop_scale=(0.2, 1), blur=0.5, solarize=0.3)


class Held:
    """Colour images in the accelerator's memory, or beside it."""

    def __init__(self, images: Images, device: torch.device):
        self.device, self.all = device, images[np.arange(64)].repeat(1, 3, 1, 1)
        if device == GPU:
            put(self.all)

    batches = Images.batches

    def __len__(self):
        return len(self.all)

    def __getitem__(self, numbers):
        return self.all[copy_async(torch.from_numpy(numbers), self.device)]


@pytest.fixture
def accelerator(images, shards, run):
    """A function that takes some steps of a method there, and gives what was seen of it."""

    def go(name: str, modifier: str, home: torch.device = GPU, **changes) -> Accelerator:
        options = run(image_size=SIZE, views=[EVERYTHING, EVERYTHING], batch_size=BATCH, **changes)
        base = build_method(METHODS[name], build_backbone(BACKBONE), 10, SIZE)
        method = apply_modifier(base, MODIFIERS[modifier], SIZE).train()
        online = OnlineEvaluation(options, method.backbone, images, Images(Shards(shards / "test"), SIZE, 1), CPU)
        held = Held(images, home)
        parts, watch = (
            TrainState(method, optimizers.build_optimizer(options.optimizer, method), online),
            NonFiniteGuard(CPU),
        )
        labels = torch.from_numpy(images.shards.labels)
        put(*method.parameters(), *method.buffers(), *online.probes.parameters(), *online.probes.buffers(), labels)
        put(watch.first)
        crops = method.crops(options.views, SIZE)
        rates = optimizers.Rates(0.01, 0.0, 0.01)
        with Accelerator() as seen:
            for step in range(STEPS):
                batches = iter_batches(held, labels, crops, options, step)
                watch.record(step, train_step(parts, method, batches, Clock(step, STEPS, 1, 0.01), rates, options))
        return seen

    return go


@pytest.mark.parametrize(("name", "modifier"), TRAINS)
def test_a_step_of_any_method_never_waits_for_the_accelerator_and_draws_its_random_numbers_on_the_cpu(
    accelerator, name, modifier
):
    seen = accelerator(name, modifier)
    assert not seen.waits
    assert not seen.draws
    assert not seen.meetings


@pytest.mark.parametrize("optimizer", [{"name": "adamw"}, {"name": "lars"}, {"clip_norm": 1.0}], ids=str)
def test_nor_does_any_optimizer(accelerator, optimizer):
    seen = accelerator("dino", "none", optimizer=optimizer)
    assert not seen.waits
    assert not seen.meetings


def test_nor_does_it_where_images_come_from_memory_and_gradients_are_accumulated(accelerator):
    seen = accelerator("byol", "co", CPU, accumulate=2)
    assert not seen.waits
    assert not seen.meetings
