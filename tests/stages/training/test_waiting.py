"""What a step asks of an accelerator, with one that is pretended (`tests/stages/pretended.py`)."""

import numpy as np
import pytest
import torch

from stages import backbones, methods, modifiers
from stages.images.sending import send
from stages.images.shards import Images, Shards
from stages.methods import Clock
from stages.study.backbones import ResNet
from stages.study.views import View
from stages.training import optimizers
from stages.training.finite import Watch
from stages.training.loop import Parts, advance, load
from stages.training.online import Online
from tests.stages.every_method import METHODS, MODIFIERS, TRAINS
from tests.stages.made_up import RESNET
from tests.stages.pretended import CPU, GPU, Accelerator, put

COLOUR = {"channels": 3, "mean": [0.5] * 3, "std": [0.25] * 3, "stem": {"kernel": 3, "stride": 1, "pool": False}}
BACKBONE = ResNet.model_validate(RESNET | COLOUR | {"width": 8})
SIZE, BATCH, STEPS = 8, 16, 2
EVERYTHING = View(crop_scale=(0.2, 1), blur=0.5, solarize=0.3)


class Held:
    """Colour images in the accelerator's memory, or beside it."""

    def __init__(self, images: Images, device: torch.device):
        self.device, self.all = device, images[np.arange(64)].repeat(1, 3, 1, 1)
        if device == GPU:
            put(self.all)

    def __len__(self):
        return len(self.all)

    def __getitem__(self, numbers):
        return self.all[send(torch.from_numpy(numbers), self.device)]


@pytest.fixture
def accelerator(images, shards, run):
    """A function that takes some steps of a method there, and gives what was seen of it."""

    def go(name: str, modifier: str, home: torch.device = GPU, **changes) -> Accelerator:
        options = run(image_size=SIZE, views=[EVERYTHING, EVERYTHING], batch_size=BATCH, **changes)
        base = methods.build(METHODS[name], backbones.build(BACKBONE), 10, SIZE)
        method = modifiers.modify(base, MODIFIERS[modifier], SIZE).train()
        online = Online(options, method.backbone.features, images, Images(Shards(shards / "test"), SIZE, 1), CPU)
        held = Held(images, home)
        parts, watch = Parts(method, optimizers.build(options.optimizer, method), online), Watch(CPU)
        labels = torch.from_numpy(images.shards.labels)
        put(*method.parameters(), *method.buffers(), *online.probe.parameters(), *online.probe.buffers(), labels)
        put(watch.first)
        crops, rates = method.crops(options.views, SIZE), optimizers.Rates(0.01, 0.0)
        with Accelerator() as seen:
            for step in range(STEPS):
                batches = load(held, labels, crops, options, step)
                watch.see(step, advance(parts, method, batches, Clock(step, STEPS, 1, 0.01), rates, options))
        return seen

    return go


@pytest.mark.parametrize(("name", "modifier"), TRAINS)
def test_a_step_of_any_method_never_waits_for_the_accelerator(accelerator, name, modifier):
    seen = accelerator(name, modifier)
    assert not seen.waits
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
