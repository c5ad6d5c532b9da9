"""Fine-tuning a small random backbone on scikit-learn's digits."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.whole_in_parts.evaluation.tasks.conftest import RESNET
from whole_in_parts.checkpoints import Checkpoints
from whole_in_parts.config.tasks.finetune import FinetuneConfig
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.evaluation.random_crops import TRAIN_CROP, random_crops
from whole_in_parts.evaluation.task import TaskContext
from whole_in_parts.evaluation.tasks import finetune
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import build_backbone

GREY = RESNET.model_copy(update={"channels": 1, "mean": [0.3], "std": [0.4]})
OPTIONS = FinetuneConfig(name="finetune", epochs=1, batch_size=64, learning_rate=0.1, seed=3)


@pytest.fixture
def context(shards, tmp_path) -> TaskContext:
    backbone = build_backbone(GREY).eval().requires_grad_(False)
    train, test = (Images(Shards(shards / split), 16, 1) for split in ("train", "test"))
    return TaskContext(backbone, train, test, torch.device("cpu"), tmp_path / "result", tmp_path)


def state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def test_it_learns_the_digits(context, seed, claim):
    found = finetune.evaluate(context, OPTIONS.model_copy(update={"epochs": 8, "batch_size": 32, "seed": seed}))
    claim("top1", found["top1"], above=50)  # chance is 10


def test_it_changes_the_weights_of_a_copy_and_leaves_the_given_backbone_as_it_is(context):
    before = state(context.backbone)
    tuned = finetune.finetune(context, OPTIONS).backbone
    assert all(torch.equal(tensor, before[name]) for name, tensor in context.backbone.state_dict().items())
    assert not context.backbone.training
    moved = [name for name, tensor in tuned.named_parameters() if not torch.equal(tensor, before[name])]
    assert moved == [name for name, _ in tuned.named_parameters()]


def test_the_seed_decides_the_weights_and_nothing_else_does(context):
    first = state(finetune.finetune(context, OPTIONS))
    torch.manual_seed(99)
    second = state(finetune.finetune(context, OPTIONS))
    other = state(finetune.finetune(context, OPTIONS.model_copy(update={"seed": 4})))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["layer.weight"], other["layer.weight"])


def test_a_step_goes_down_the_gradient_of_the_first_batch(context):
    options = OPTIONS.model_copy(update={"batch_size": len(context.train)})
    model = finetune.FinetunedClassifier(context.backbone, 10).train()
    ((images_BCHW, labels_B),) = random_crops(
        context.train, np.arange(len(context.train)), options.batch_size, options.seed, range(1), context.device
    )
    F.cross_entropy(model(images_BCHW), labels_B).backward()
    moved = finetune.finetune(context, options)
    expected = -options.learning_rate * model.layer.weight.grad
    torch.testing.assert_close(moved.layer.weight, expected)


def test_images_are_seen_in_crops_of_their_own_and_mirrored_half_of_the_time(context):
    seen = [
        images_BCHW
        for images_BCHW, _ in random_crops(
            context.train, np.arange(len(context.train)), len(context.train), OPTIONS.seed, range(2), context.device
        )
    ]
    assert seen[0].shape == (len(context.train), 1, 16, 16)
    assert not torch.equal(seen[0], seen[1])
    assert 0 <= seen[0].min() < seen[0].max() <= 1
    assert TRAIN_CROP.flip == 0.5


def test_a_rate_that_is_too_high_is_named(context):
    with pytest.raises(Failure, match=r"task\.learning_rate: at 1e\+20 the weights are not finite"):
        finetune.finetune(context, OPTIONS.model_copy(update={"learning_rate": 1e20}))


def test_a_batch_larger_than_the_dataset_is_refused(context):
    with pytest.raises(ValueError, match="batch_size: a batch of 2000 needs as many samples"):
        finetune.finetune(context, OPTIONS.model_copy(update={"batch_size": 2000}))


def test_the_test_images_are_seen_whole_and_all_of_them(context, monkeypatch):
    class Known(torch.nn.Module):
        """Knows each test image."""

        def forward(self, images_BCHW):
            labels = [known[image.numpy().tobytes()] for image in images_BCHW]
            return torch.eye(10)[torch.tensor(labels)]

    every_BCHW = context.test[np.arange(len(context.test))].float() / 255
    known = {
        image.numpy().tobytes(): label for image, label in zip(every_BCHW, context.test.shards.labels, strict=True)
    }
    monkeypatch.setattr(finetune, "finetune", lambda *_: Known())
    assert finetune.evaluate(context, OPTIONS) == {"top1": 100}


def test_the_rate_rises_over_the_warmup_and_weight_decay_pulls_all_weights(context):
    """The first step of a warm-up has a rate of 0; in a step without, decay adds its part to the gradient's."""
    warm = OPTIONS.model_copy(update={"warmup_epochs": 1.0, "epochs": 1, "batch_size": len(context.train)})
    moved = finetune.finetune(context, warm).backbone
    before = state(context.backbone)
    assert all(torch.equal(tensor, before[name]) for name, tensor in moved.named_parameters())

    plain, decayed = (
        finetune.finetune(context, OPTIONS.model_copy(update={"weight_decay": decay, "batch_size": len(context.train)}))
        for decay in (0.0, 0.5)
    )
    for (name, one), other in zip(plain.backbone.named_parameters(), decayed.backbone.parameters(), strict=True):
        torch.testing.assert_close(other, one - OPTIONS.learning_rate * 0.5 * before[name], atol=1e-6, rtol=1e-5)


def test_a_percentage_of_the_labels_trains_on_that_much_of_each_class(context, monkeypatch):
    seen = []

    def watched(images, indices_N, *rest):
        seen.append(indices_N)
        return random_crops(images, indices_N, *rest)

    monkeypatch.setattr(finetune, "random_crops", watched)
    finetune.finetune(context, OPTIONS.model_copy(update={"labels": 10, "batch_size": 32}))
    labels = context.train.shards.labels
    expected = [round(0.1 * count) for count in np.bincount(labels)]
    assert np.bincount(labels[seen[0]]).tolist() == expected


def test_a_percentage_that_leaves_a_class_without_an_image_is_refused(context, monkeypatch):
    monkeypatch.setattr(context.train.shards, "labels", np.repeat([0, 1], [len(context.train) - 3, 3]))
    with pytest.raises(Failure, match=r"task\.labels: 10 % of the 3 training samples with label 1 is not one sample"):
        finetune.finetune(context, OPTIONS.model_copy(update={"labels": 10}))


class Killed(BaseException):
    """What a kill is to a training: nothing that it could catch."""


def test_a_fine_tuning_that_is_killed_goes_on_and_ends_in_the_same_weights(context, monkeypatch):
    options = OPTIONS.model_copy(update={"batch_size": 128, "epochs": 2})  # 20 steps
    expected = state(finetune.finetune(context, options))
    monkeypatch.setattr(Checkpoints, "due", lambda self: True)
    taken: list[int] = []

    def killed_in(last: int):
        def crops(images, indices_N, batch_size, seed, steps, device):
            for step, batch in zip(
                steps, random_crops(images, indices_N, batch_size, seed, steps, device), strict=True
            ):
                if len(taken) == last:
                    raise Killed
                taken.append(step)
                yield batch

        return crops

    for last in (4, 13):
        monkeypatch.setattr(finetune, "random_crops", killed_in(last))
        with pytest.raises(Killed):
            finetune.finetune(context, options)
    monkeypatch.setattr(finetune, "random_crops", killed_in(999))
    found = state(finetune.finetune(context, options))
    assert taken == list(range(20))
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())
