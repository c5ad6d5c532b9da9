"""What the training loop relies on, of every method with every modifier that it carries, on a convolutional backbone
and on a transformer.
"""

import io
from itertools import product
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.every_method import CARRIES, METHODS, MODIFIERS, TRAINS, VIEW
from whole_in_parts.augment.views import make_batch
from whole_in_parts.config.backbones.timm import TimmConfig
from whole_in_parts.config.runs import Run
from whole_in_parts.config.study import Study
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.ema import EMATeacher
from whole_in_parts.schedules import Clock
from whole_in_parts.training.building import build

BATCH, STEPS, PER_EPOCH = 32, 30, 2
SETTLED = 2
"""The step from which a queue holds keys of images, and no random ones. By then TCR has fallen most of its way."""
SLOWER = {"vicreg": 0.25}
"""The learning rate, by that of the others, of a method with a loss so large that it would not fall steadily."""
VIT = {"img_size": 8, "patch_size": 2, "embed_dim": 32, "depth": 3, "num_heads": 2}
BACKBONES = {
    "resnet": {"strides": (1, 2, 2)},
    "vit": TimmConfig(name="timm", model="vit_tiny_patch16_224", arguments=VIT, channels=1, mean=[0.31], std=[0.38]),
}
EVERY = [(method, modifier, "resnet") for method, modifier in TRAINS]
EVERY += [(method, modifier, "vit") for method, modifier in TRAINS if modifier in ("none", "co")]
"""The other modifiers change the crops and pairs, which are the same to any backbone."""
ASIDE = {"obow"}
"""Methods whose kept backbone learns from none of the run's views, and gives features of them in evaluation mode."""
LEARN = [each for each in EVERY if (each[0], each[2]) != ("moco_v2", "vit")]
"""In 30 steps MoCo v2 tells no images apart by so small a transformer: its loss stays that of chance."""


@pytest.fixture
def run(small, seed):
    """A function that gives the options of a run."""

    def given(method: str, modifier: str, backbone: str = "resnet", seed: int = seed) -> Run:
        options: Run = small.runs["byol"]
        chosen = BACKBONES[backbone]
        network = options.backbone.model_copy(update=chosen) if isinstance(chosen, dict) else chosen
        update = {"method": METHODS[method], "modifier": MODIFIERS[modifier], "seed": seed, "backbone": network}
        return options.model_copy(update=update)

    return given


class Training:
    """Steps of a method on 64 digits, in two batches by turns, of which each has its views."""

    def __init__(self, run: Run, images):
        self.method, self.images, self.step = build(run, classes=10).train(), images, 0
        self.half, self.losses = run.precision == "bfloat16", dict[str, Tensor]()
        self.batches = [self.batch(turn) for turn in range(2)]
        trained = [parameter for parameter in self.method.parameters() if parameter.requires_grad]
        slower = SLOWER.get(run.method.name, 1)
        self.optimizer = (
            torch.optim.AdamW(trained, 2e-3 * slower)
            if run.backbone.name == "timm"
            else torch.optim.SGD(trained, 0.02 * slower, momentum=0.9)
        )

    def batch(self, turn: int):
        numbers = np.arange(BATCH) + BATCH * turn
        labels_B = torch.from_numpy(self.images.shards.labels[numbers])
        return make_batch(self.images[numbers], labels_B, self.method.crops([VIEW, VIEW], 8), numbers, 0, turn)

    def take(self) -> float:
        """One step as the loop takes it; gives the loss."""
        torch.manual_seed(self.step)
        clock = Clock(self.step, STEPS, PER_EPOCH, 0.02)
        self.method.prepare(clock)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            losses = self.losses = self.method(self.batches[self.step % 2]).losses
        self.optimizer.zero_grad()
        self.method.backward(losses)
        self.optimizer.step()
        self.step += 1
        self.method.update(clock._replace(step=self.step))
        return sum(float(loss.detach()) for name, loss in losses.items() if name not in ("affinity", "apart"))

    def state(self) -> bytes:
        stream = io.BytesIO()
        torch.save({"method": self.method.state_dict(), "optimizer": self.optimizer.state_dict()}, stream)
        return stream.getvalue()

    def load(self, state: bytes) -> None:
        content = torch.load(io.BytesIO(state), weights_only=True)
        self.method.load_state_dict(content["method"])
        self.optimizer.load_state_dict(content["optimizer"])


def tensors(content) -> list[Tensor]:
    """All tensors of a state, in their order."""
    if isinstance(content, Tensor):
        return [content]
    values = content.values() if isinstance(content, dict) else content if isinstance(content, list) else []
    return [tensor for value in values for tensor in tensors(value)]


def same(first: bytes, second: bytes) -> bool:
    one, other = (tensors(torch.load(io.BytesIO(state), weights_only=True)) for state in (first, second))
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_study_takes_every_method_and_modifier_of_this_contract():
    for key, known in (("method", METHODS), ("modifier", MODIFIERS)):
        kinds = get_args(Run.model_fields[key].annotation)
        assert {get_args(kind.model_fields["name"].annotation)[0] for kind in kinds} == set(known)


@pytest.mark.parametrize(("method", "modifier"), sorted(set(product(METHODS, MODIFIERS)) - set(CARRIES)))
def test_a_modifier_that_a_method_cannot_carry_is_refused_by_the_study(small, method, modifier):
    chosen = {"method": METHODS[method].model_dump(), "modifier": MODIFIERS[modifier].model_dump()}
    run = small.runs["byol"].model_dump() | chosen | {"epochs": int(METHODS[method].trains)}
    with pytest.raises(ValueError, match=rf"modifier: {method} does not support {modifier}; supported: none"):
        Study.model_validate(small.model_dump() | {"runs": {"asked": run}})


@pytest.mark.parametrize(("method", "modifier", "backbone"), EVERY)
def test_the_loss_reaches_everything_that_is_trained_and_no_target(run, images, method, modifier, backbone):
    training = Training(run(method, modifier, backbone), images)
    losses = training.method(training.batches[0]).losses
    assert all(loss.isfinite() and loss.ndim == 0 for loss in losses.values())
    training.method.backward(losses)
    for name, parameter in training.method.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        assert not parameter.requires_grad or ".target." not in name


@pytest.mark.parametrize(("method", "modifier", "backbone"), LEARN)
def test_the_loss_falls_in_30_steps(run, images, method, modifier, backbone, claim):
    training = Training(run(method, modifier, backbone), images)
    losses = [training.take() for _ in range(STEPS)]
    first = 0 if method == "tcr" else SETTLED
    lower = [losses[step] < losses[first + step % 2] for step in range(STEPS - 10, STEPS)]
    claim("share of the last ten losses below the first of the same batch", np.mean(lower), above=0.7)


@pytest.mark.parametrize(("method", "modifier", "backbone"), EVERY)
def test_a_training_is_the_same_again_and_from_a_checkpoint(run, images, method, modifier, backbone):
    first, again, resumed = (Training(run(method, modifier, backbone), images) for _ in range(3))
    losses = [first.take() for _ in range(5)]
    middle = first.state()
    losses += [first.take() for _ in range(5)]
    assert [again.take() for _ in range(3)] == losses[:3]
    resumed.load(middle)
    resumed.step = 5
    assert [resumed.take() for _ in range(5)] == losses[5:]
    assert same(resumed.state(), first.state())


@pytest.mark.parametrize(("method", "modifier"), TRAINS)
def test_in_bfloat16_losses_are_single_and_those_of_single_precision(run, images, method, modifier, claim):
    options = run(method, modifier)
    single, half = Training(options, images), Training(options.model_copy(update={"precision": "bfloat16"}), images)
    loss = single.take()
    claim("difference of the losses", abs(half.take() - loss) / max(0.03 * abs(loss), 0.06), below=1)
    half.take()
    assert {loss.dtype for loss in half.losses.values()} == {torch.float32}
    assert torch.bfloat16 not in {tensor.dtype for tensor in tensors(half.method.state_dict())}


@pytest.mark.parametrize(("method", "modifier"), [*TRAINS, ("byol", "logo_public")])
def test_features_are_those_of_the_kept_backbone_on_the_runs_views_without_gradients(run, images, method, modifier):
    public = modifier == "logo_public"
    options = run(method, "logo" if public else modifier)
    if public:
        options = options.model_copy(update={"modifier": options.modifier.model_copy(update={"mode": "public"})})
    training = Training(options, images)
    batch = training.batch(0)
    features = training.method(batch).features
    training.method.backbone.train(method not in ASIDE)
    with torch.no_grad():
        views = [training.method.backbone(view) for view in batch.views[: training.method.views]]
    assert not any(x_BD.requires_grad for x_BD in features.values())
    torch.testing.assert_close(features["global"], torch.cat([view.global_BD for view in views]))
    torch.testing.assert_close(features.get("patch", features["global"]), torch.cat([view.pooled_BC for view in views]))


@pytest.mark.parametrize(("method", "modifier"), CARRIES)
def test_the_backbone_to_keep_says_what_a_representation_is_embedded_as(run, method, modifier):
    made = build(run(method, modifier), 10).eval()
    global_BD = made.backbone(torch.rand(4, 1, 8, 8)).global_BD
    assert isinstance(made.backbone, Backbone)
    assert made.project(global_BD).shape[0] == 4


@pytest.mark.parametrize(("method", "modifier"), CARRIES)
def test_the_seed_decides_the_initial_weights(run, method, modifier):
    first, again, other = (build(run(method, modifier, seed=seed), 10).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(tensors(first), tensors(again), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(tensors(first), tensors(other), strict=True))


@pytest.mark.parametrize("method", [name for name in METHODS if hasattr(METHODS[name], "momentum")])
@pytest.mark.parametrize("modifier", ["none", "co"])
def test_every_target_moves_exactly_as_the_schedule_says(run, method, modifier):
    if (method, modifier) not in CARRIES:
        pytest.skip(f"{method} does not carry {modifier}")
    made, stays = build(run(method, modifier), 10), sum(METHODS[method].momentum) / 2
    twins = [module for module in made.modules() if isinstance(module, EMATeacher)]
    assert twins
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.requires_grad:
                parameter += 1
    before = [[target.clone() for target in twin.target.parameters()] for twin in twins]
    for twin in twins:
        twin.ema_update(Clock(10, 20, 10))  # half of the way
    for twin, targets in zip(twins, before, strict=True):
        parameters = zip(targets, twin.online.parameters(), twin.target.parameters(), strict=True)
        for old, online, new in parameters:
            torch.testing.assert_close(new, stays * old + (1 - stays) * online)
