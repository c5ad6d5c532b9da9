"""The training of a detector: its schedule, that it is repeatable and goes on after a kill, and what it refuses."""

import pytest
import torch
from torch import nn

from tests.whole_in_parts.evaluation.detection import shapes
from tests.whole_in_parts.models.backbones.examples import SMALL, resnet
from whole_in_parts.checkpoints import Checkpoints
from whole_in_parts.config.tasks.detection import DetectionConfig
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.evaluation.detection import samples, training
from whole_in_parts.evaluation.task import TaskContext
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import build_backbone

SHORT = {"batch_size": 2, "warmup_steps": 2, "short_sides": (32, 40), "anchors": (8,), "regions": 16, "batches": 2}


def options(steps: int, **more) -> DetectionConfig:
    return DetectionConfig(name="detection", steps=steps, **SHORT | more)


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Images:
    return Images(Shards(shapes.packed(tmp_path_factory.mktemp("learnt"), 6)), 32, 3)


@pytest.fixture
def context(images, tmp_path) -> TaskContext:
    torch.manual_seed(0)
    backbone = build_backbone(resnet("basic", [1, 1], [2, 2], SMALL, width=16)).eval().requires_grad_(False)
    (tmp_path / "unfinished").mkdir()
    return TaskContext(backbone, images, images, torch.device("cpu"), tmp_path / "unfinished", tmp_path)


def weights(context: TaskContext, chosen: DetectionConfig) -> dict[str, torch.Tensor]:
    return training.train(context, chosen, 3).state_dict()


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.00002), (50, 0.01001), (100, 0.02), (17_999, 0.02), (18_000, 0.002), (22_000, 0.0002), (23_999, 0.0002)],
)
def test_the_learning_rate_of_voc_warms_up_in_a_line_and_drops_twice(step, rate):
    chosen = DetectionConfig(name="detection", steps=24_000, drops=[18_000, 22_000])
    assert training.learning_rate(step, chosen) == pytest.approx(rate)


def test_without_a_warm_up_the_first_step_has_the_whole_rate():
    assert training.learning_rate(0, options(3, warmup_steps=0, learning_rate=0.1)) == 0.1


def test_the_same_training_ends_in_the_same_weights_and_another_seed_in_others(context):
    first = weights(context, options(2))
    torch.rand(7)
    assert same(first, weights(context, options(2)))
    assert not same(first, weights(context, options(2, seed=1)))


def test_a_killed_training_goes_on_and_ends_in_the_same_weights(context, monkeypatch):
    whole = weights(context, options(4))
    taken, forward = [], training.forward

    def killed(*arguments):
        taken.append(arguments[-1])
        if len(taken) == 3:
            raise KeyboardInterrupt
        return forward(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "due", lambda self: True)
        patch.setattr(training, "forward", killed)
        with pytest.raises(KeyboardInterrupt):
            weights(context, options(4))
    monkeypatch.setattr(training, "forward", lambda *arguments: taken.append(arguments[-1]) or forward(*arguments))
    assert same(whole, weights(context, options(4)))
    assert taken == [0, 1, 2, 2, 3, 4, 5]


def test_a_checkpoint_of_other_options_is_not_taken_up(context, monkeypatch):
    monkeypatch.setattr(Checkpoints, "due", lambda self: True)
    assert not same(weights(context, options(1)), weights(context, options(1, learning_rate=0.1)))


def test_statistics_are_the_mean_over_further_batches(context, monkeypatch):
    seen, forward = [], training.forward

    def watched(model, *arguments):
        losses = forward(model, *arguments)
        if not torch.is_grad_enabled():
            seen.append(
                [module.running_mean.clone() for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
            )
        return losses

    monkeypatch.setattr(training, "forward", watched)
    model = training.train(context, options(1, batches=3), 3)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(seen) == 3
    assert {int(norm.num_batches_tracked) for norm in norms} == {3}
    first, second = seen[:2]
    assert not torch.equal(first[0], second[0])


def test_a_learning_rate_that_is_too_high_is_named(context):
    with pytest.raises(Failure, match=r"task.learning_rate: at 1e\+30 the loss of step \d is not finite; lower it"):
        weights(context, options(4, warmup_steps=0).model_copy(update={"learning_rate": 1e30}))


def test_images_without_objects_are_left_out_and_too_few_others_are_refused(context, monkeypatch):
    marked = samples.read_annotations(context.train.shards, False)
    for each in marked[1:]:
        each["crowd"] = [True] * len(each["boxes"])
    monkeypatch.setattr(samples, "read_annotations", lambda *_: marked)
    with pytest.raises(ValueError, match="batch_size: a batch of 2 needs as many samples, and there are 1"):
        weights(context, options(1))
    batches = samples.TrainingBatches(context.train, options(1, batch_size=1), context.device)
    assert batches.indices.tolist() == [0]
    assert len(batches.batch(0)) == 1
