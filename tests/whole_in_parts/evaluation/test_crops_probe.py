"""Linear layers on what a random backbone makes of crops of scikit-learn's digits."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.whole_in_parts.evaluation.tasks.conftest import RESNET
from whole_in_parts.checkpoints import Checkpoints
from whole_in_parts.config.evaluations import LinearOnCrops
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.evaluation import crops_probe, features
from whole_in_parts.evaluation.crops_layers import accuracy, predict
from whole_in_parts.evaluation.crops_probe import Fitted
from whole_in_parts.evaluation.random_crops import TRAIN_CROP, random_crops
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import Backbone, build_backbone

GREY = RESNET.model_copy(update={"channels": 1, "mean": [0.3], "std": [0.4]})
OPTIONS = LinearOnCrops(epochs=1, batch_size=64)
LEARNS = {"epochs": 12, "batch_size": 32, "learning_rates": (4.0,), "schedule": "cosine"}
RATES = (0.001, 4.0)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def train(shards) -> Images:
    return Images(Shards(shards / "train"), 16, 1)


@pytest.fixture(scope="module")
def test(shards) -> Images:
    return Images(Shards(shards / "test"), 16, 1)


@pytest.fixture(scope="module")
def backbone(train, seed) -> Backbone:
    torch.manual_seed(seed)
    backbone = build_backbone(GREY).requires_grad_(False)
    for _ in range(30):  # the layers read features as they are: so batch norm has to know their scale
        backbone(train[np.arange(200)].float() / 255)
    return backbone.eval()


@pytest.fixture
def fit(backbone, train, tmp_path):
    """A function that trains the layers with other options."""

    def go(folder: Path = tmp_path / "checkpoints", **changes) -> Fitted:
        options = OPTIONS.model_copy(update=changes)
        return crops_probe.fit(backbone, train, options, Checkpoints(folder), CPU)

    return go


@pytest.fixture
def steps(train):
    """A function that gives the batches of the first steps on all training images."""

    def batches(batch_size: int, count: int, seed: int = OPTIONS.seed):
        return random_crops(train, np.arange(len(train)), batch_size, seed, range(count), CPU)

    return batches


def weights(fitted: Fitted) -> dict[str, torch.Tensor]:
    chosen = {f"final {name}": choice for name, choice in fitted.final.items()}
    chosen |= {f"best {name}": choice for name, choice in fitted.best.items()}
    return {name: torch.cat([choice.layer.weight, choice.layer.bias[:, None]], 1) for name, choice in chosen.items()}


def same(one: Fitted, other: Fitted) -> bool:
    ours, theirs = weights(one), weights(other)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_is_left_out_is_the_protocol_of_co_ssl():
    assert LinearOnCrops().model_dump(exclude={"seed"}) == {
        "epochs": 100,
        "batch_size": 256,
        "representations": ["global"],
        "learning_rates": (0.1,),
        "best_epoch": False,
        "held_out": 0.1,
        "schedule": "steps",
        "weight_decay": 0.0,
        "precision": "float32",
    }


def test_it_learns_the_digits_and_leaves_the_backbone_as_it_is(backbone, fit, test, seed, claim):
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    metrics, _ = crops_probe.evaluate(backbone, fit(**LEARNS, seed=seed), test, CPU)
    claim("top1", metrics["top1"], above=12)  # chance is 10
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.state_dict().items())


def test_each_step_is_one_of_sgd_with_momentum_on_the_features_of_fresh_crops(backbone, fit, steps, train):
    weight_CD, moved_CD = torch.zeros(10, backbone.features), torch.zeros(10, backbone.features)
    bias_C, pushed_C = torch.zeros(10), torch.zeros(10)
    for rate, (images_BCHW, labels_B) in zip([0.1, 0.05], steps(len(train), 2), strict=True):
        x_BD = backbone(images_BCHW).global_BD
        wrong_BC = (torch.softmax(x_BD @ weight_CD.T + bias_C, 1) - F.one_hot(labels_B, 10)) / len(labels_B)
        moved_CD, pushed_C = 0.9 * moved_CD + wrong_BC.T @ x_BD, 0.9 * pushed_C + wrong_BC.sum(0)
        weight_CD, bias_C = weight_CD - rate * moved_CD, bias_C - rate * pushed_C
    layer = fit(batch_size=len(train), epochs=2, schedule="cosine").final["global"].layer
    torch.testing.assert_close(layer.weight, weight_CD, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(layer.bias, bias_C, atol=1e-5, rtol=1e-4)


def test_the_seed_decides_the_layer_and_nothing_else_does(fit):
    first = fit()
    torch.manual_seed(99)
    assert same(fit(), first)
    assert not same(fit(seed=4), first)


def test_crops_differ_from_step_to_step_and_are_at_least_8_per_cent_of_the_image(steps, train):
    (first_BCHW, labels_B), (second_BCHW, _) = steps(len(train), 2)
    assert first_BCHW.shape == (len(train), 1, 16, 16)
    assert labels_B.bincount().tolist() == torch.from_numpy(train.shards.labels).bincount().tolist()
    assert not torch.equal(first_BCHW, second_BCHW)
    assert TRAIN_CROP.crop_scale == (0.08, 1.0)


def test_a_batch_larger_than_the_dataset_is_refused(fit):
    with pytest.raises(ValueError, match="batch_size: a batch of 2000 needs as many samples"):
        fit(batch_size=2000)


def test_all_representations_and_rates_in_one_pass_give_the_layers_that_each_gives_alone(backbone, train, fit):
    """Each is compared with a training of its own on the same images."""
    names = ["global", "layer_1"]
    trained_N = np.setdiff1d(
        np.arange(len(train)), crops_probe.held_out_indices(train, OPTIONS.model_copy(update={"best_epoch": True}))
    )
    together = crops_probe.Layers(
        backbone, train, OPTIONS.model_copy(update={"representations": names, "learning_rates": RATES}), CPU
    )
    alone = {
        (name, rate): crops_probe.Layers(
            backbone, train, OPTIONS.model_copy(update={"representations": [name], "learning_rates": (rate,)}), CPU
        )
        for name in names
        for rate in RATES
    }
    for images_BCHW, labels_B in random_crops(train, trained_N, 64, 0, range(5), CPU):
        for layers in (together, *alone.values()):
            layers.step(images_BCHW, labels_B, 0)
    for (name, rate), layers in alone.items():
        (layer,) = layers.layers[name]
        assert torch.equal(together.layers[name][RATES.index(rate)].weight, layer.weight)


def test_of_several_rates_and_epochs_those_are_evaluated_that_are_best_on_held_out_images(backbone, fit, train, test):
    """Test images have no part in the choice."""
    options = OPTIONS.model_copy(update={"learning_rates": RATES, "best_epoch": True})
    held_out_N = crops_probe.held_out_indices(train, options)
    labels_N = torch.from_numpy(train.shards.labels[held_out_N])
    after = {epochs: fit(Path(f"{epochs}"), learning_rates=RATES, best_epoch=True, epochs=epochs) for epochs in (1, 3)}

    final, best = after[3].final["global"], after[3].best["global"]
    for choice in (final, best):
        (predicted_N,) = predict(backbone, {"global": [choice.layer]}, train, held_out_N, CPU)["global"]
        assert choice.held_out_top1 == accuracy(predicted_N, labels_N)
    assert final.epoch == 3
    assert best.held_out_top1 >= final.held_out_top1
    assert final.learning_rate == RATES[1]  # at the other one, the layer has hardly moved

    metrics, predicted = crops_probe.evaluate(backbone, after[3], test, CPU)
    assert metrics["top1"] == accuracy(predicted["global"], torch.from_numpy(test.shards.labels))
    assert list(metrics) == ["top1", "learning_rate", "held_out_top1", "top1_best_epoch", "best_epoch"]
    assert metrics["best_epoch"] == best.epoch


def test_a_better_layer_of_a_later_epoch_takes_the_place_of_an_earlier_and_a_worse_does_not(backbone, train):
    layers = crops_probe.Layers(backbone, train, OPTIONS, CPU)
    (layer,) = layers.layers["global"]
    best: dict[str, crops_probe.Choice] = {}
    for epoch, top1 in enumerate([50.0, 40.0, 60.0, 60.0], 1):
        torch.nn.init.constant_(layer.weight, epoch)
        crops_probe.keep_better(best, {"global": crops_probe.Choice(layer, 0.1, epoch, top1)})
    assert best["global"].epoch == 3
    assert best["global"].layer.weight.unique().tolist() == [3]


def test_a_tenth_of_each_class_is_held_out_if_there_is_a_choice_and_nothing_if_there_is_none(train):
    labels = train.shards.labels
    several = OPTIONS.model_copy(update={"learning_rates": RATES})
    held_out_N = crops_probe.held_out_indices(train, several)
    assert np.bincount(labels[held_out_N]).tolist() == [round(0.1 * count) for count in np.bincount(labels)]
    assert len(crops_probe.held_out_indices(train, OPTIONS)) == 0


def test_a_fraction_that_is_no_image_is_refused(train):
    with pytest.raises(Failure, match=r"held_out: 0\.001 of 1347 images is not one of any class; raise it"):
        crops_probe.held_out_indices(train, OPTIONS.model_copy(update={"best_epoch": True, "held_out": 0.001}))


@pytest.mark.parametrize("name", ["patch", "layer_1", "global_patch"])
def test_any_representation_of_the_backbone_is_classified(backbone, fit, test, name):
    fitted = fit(representations=[name])
    with torch.no_grad():
        expected = features.select_representation(backbone(torch.rand(2, 1, 16, 16)), name).shape[1]
    assert fitted.final[name].layer.in_features == expected
    metrics, _ = crops_probe.evaluate(backbone, fitted, test, CPU)
    assert list(metrics) == [f"top1_{name}"]


class Killed(BaseException):
    """What a kill is to a training: nothing that it could catch."""


def test_a_training_that_is_killed_goes_on_and_ends_in_the_same_layers(fit, monkeypatch, tmp_path):
    changes = {"learning_rates": RATES, "best_epoch": True, "epochs": 3, "representations": ["global", "layer_1"]}
    expected = fit(tmp_path / "uninterrupted", **changes)
    monkeypatch.setattr(Checkpoints, "due", lambda self: True)
    step = crops_probe.Layers.step
    taken: list[int] = []

    def killed_in(last: int):
        def counted(*given):
            if len(taken) == last:
                raise Killed
            taken.append(0)
            step(*given)

        return counted

    for last in (7, 29):  # an epoch has 18 steps
        monkeypatch.setattr(crops_probe.Layers, "step", killed_in(last))
        with pytest.raises(Killed):
            fit(**changes)
    monkeypatch.setattr(crops_probe.Layers, "step", killed_in(999))
    assert same(fit(**changes), expected)
    assert len(taken) == 3 * 18
