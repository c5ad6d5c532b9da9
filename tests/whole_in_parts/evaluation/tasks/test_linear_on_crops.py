"""A linear layer on what a random backbone makes of crops of scikit-learn's digits."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.whole_in_parts.evaluation.tasks.conftest import RESNET
from whole_in_parts.config.tasks.linear_on_crops import LinearOnCropsConfig
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.evaluation import features
from whole_in_parts.evaluation.task import TRAIN_CROP, TaskContext, random_crops
from whole_in_parts.evaluation.tasks import linear_on_crops
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import build_backbone

GREY = RESNET.model_copy(update={"channels": 1, "mean": [0.3], "std": [0.4]})
OPTIONS = LinearOnCropsConfig(name="linear_on_crops", epochs=1, batch_size=64)
LONGER = {"epochs": 6, "batch_size": 32, "learning_rates": (4.0,)}


@pytest.fixture
def context(shards, tmp_path) -> TaskContext:
    backbone = build_backbone(GREY).requires_grad_(False)
    train, test = (Images(Shards(shards / split), 16, 1) for split in ("train", "test"))
    for _ in range(30):  # the layer reads features as they are: so batch norm has to know their scale
        backbone(train[np.arange(200)].float() / 255)
    backbone.eval()
    return TaskContext(backbone, train, test, torch.device("cpu"), tmp_path)


def everything(context: TaskContext) -> np.ndarray:
    return np.arange(len(context.train))


def test_what_is_left_out_is_the_protocol_of_co_ssl():
    left_out = LinearOnCropsConfig(name="linear_on_crops").model_dump(exclude={"name", "seed"})
    assert left_out == {
        "epochs": 100,
        "batch_size": 256,
        "representation": "global",
        "learning_rates": (0.1,),
        "held_out": 0.1,
        "schedule": "steps",
        "weight_decay": 0.0,
    }


def test_it_learns_the_digits_and_leaves_the_backbone_as_it_is(context, seed, claim):
    before = {name: tensor.clone() for name, tensor in context.backbone.state_dict().items()}
    found = linear_on_crops.evaluate(context, OPTIONS.model_copy(update=LONGER | {"seed": seed}))
    claim("top1", found["top1"], above=10)  # which is chance
    assert all(torch.equal(tensor, before[name]) for name, tensor in context.backbone.state_dict().items())


def test_each_step_is_one_of_sgd_with_momentum_on_the_features_of_fresh_crops(context):
    options = OPTIONS.model_copy(update={"batch_size": len(context.train), "epochs": 2, "schedule": "cosine"})
    weight_CD, moved_CD = torch.zeros(10, context.backbone.features), torch.zeros(10, context.backbone.features)
    bias_C, pushed_C = torch.zeros(10), torch.zeros(10)
    steps = random_crops(context, everything(context), options.batch_size, options.seed, 2)
    for rate, (images_BCHW, labels_B) in zip([0.1, 0.05], steps, strict=True):
        x_BD = context.backbone(images_BCHW).global_BD
        wrong_BC = (torch.softmax(x_BD @ weight_CD.T + bias_C, 1) - F.one_hot(labels_B, 10)) / len(labels_B)
        moved_CD, pushed_C = 0.9 * moved_CD + wrong_BC.T @ x_BD, 0.9 * pushed_C + wrong_BC.sum(0)
        weight_CD, bias_C = weight_CD - rate * moved_CD, bias_C - rate * pushed_C
    (layer,) = linear_on_crops.train(context, options, everything(context))
    torch.testing.assert_close(layer.weight, weight_CD, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(layer.bias, bias_C, atol=1e-5, rtol=1e-4)


def test_the_seed_decides_the_layer_and_nothing_else_does(context):
    other_seed = OPTIONS.model_copy(update={"seed": 4})
    (first,) = linear_on_crops.train(context, OPTIONS, everything(context))
    torch.manual_seed(99)
    (again,) = linear_on_crops.train(context, OPTIONS, everything(context))
    (other,) = linear_on_crops.train(context, other_seed, everything(context))
    assert torch.equal(again.weight, first.weight)
    assert not torch.equal(other.weight, first.weight)


def test_crops_differ_from_step_to_step_and_are_at_least_8_per_cent_of_the_image(context):
    (first_BCHW, labels_B), (second_BCHW, _) = random_crops(context, everything(context), len(context.train), 0, 2)
    assert first_BCHW.shape == (len(context.train), 1, 16, 16)
    assert labels_B.bincount().tolist() == torch.from_numpy(context.train.shards.labels).bincount().tolist()
    assert not torch.equal(first_BCHW, second_BCHW)
    assert TRAIN_CROP.crop_scale == (0.08, 1.0)


def test_a_batch_larger_than_the_dataset_is_refused(context):
    with pytest.raises(ValueError, match="batch_size: a batch of 2000 needs as many samples"):
        linear_on_crops.train(context, OPTIONS.model_copy(update={"batch_size": 2000}), everything(context))


RATES = (0.001, 4.0)


def test_several_learning_rates_give_the_layers_that_each_gives_alone(context):
    several = OPTIONS.model_copy(update={"learning_rates": RATES})
    together = linear_on_crops.train(context, several, everything(context))
    for rate, layer in zip(RATES, together, strict=True):
        alone = OPTIONS.model_copy(update={"learning_rates": (rate,)})
        assert torch.equal(layer.weight, linear_on_crops.train(context, alone, everything(context))[0].weight)


def test_of_several_learning_rates_the_one_that_is_best_on_held_out_training_images_is_evaluated(context, monkeypatch):
    """Test images have no part in the choice: those of the worse layer are never asked for."""
    options = OPTIONS.model_copy(update={"learning_rates": RATES, "epochs": 3})
    held_out_N = linear_on_crops.held_out_indices(context, options)
    trained_N = np.setdiff1d(everything(context), held_out_N)
    layers = linear_on_crops.train(context, options, trained_N)
    scores = [linear_on_crops.accuracy(layer, context, options, context.train, held_out_N) for layer in layers]
    best = int(np.argmax(scores))
    found = linear_on_crops.evaluate(context, options)
    tested = linear_on_crops.accuracy(layers[best], context, options, context.test, np.arange(len(context.test)))
    assert found == {"top1": tested, "learning_rate": RATES[best], "held_out_top1": scores[best]}
    assert scores[0] != scores[1]


def test_a_tenth_of_each_class_is_held_out_and_not_trained_on(context, monkeypatch):
    labels, seen = context.train.shards.labels, []
    options = OPTIONS.model_copy(update={"learning_rates": RATES})
    monkeypatch.setattr(linear_on_crops, "train", lambda _, __, indices_N: seen.append(indices_N) or [None, None])
    monkeypatch.setattr(linear_on_crops, "accuracy", lambda layer, _, __, images, indices_N: len(indices_N))
    linear_on_crops.evaluate(context, options)
    held_out_N = np.setdiff1d(everything(context), seen[0])
    expected = [round(0.1 * count) for count in np.bincount(labels)]
    assert np.bincount(labels[held_out_N]).tolist() == expected


@pytest.mark.parametrize("name", ["patch", "layer_1"])
def test_any_representation_of_the_backbone_is_classified(context, name):
    options = OPTIONS.model_copy(update={"representation": name})
    (layer,) = linear_on_crops.train(context, options, everything(context))
    ((images_BCHW, _),) = random_crops(context, everything(context), 64, 3, 1)
    expected = features.select_representation(context.backbone(images_BCHW), name).shape[1]
    assert layer.in_features == expected
    assert 0 <= linear_on_crops.evaluate(context, options)["top1"] <= 100


def test_a_representation_that_the_backbone_lacks_is_named_with_those_that_it_has(context):
    with pytest.raises(
        Failure, match=r"task\.representation: the backbone has no layer_9; it has: global, patch, layer_1"
    ):
        linear_on_crops.evaluate(context, OPTIONS.model_copy(update={"representation": "layer_9"}))


def test_a_learning_rate_that_is_named_twice_is_refused():
    with pytest.raises(ValueError, match=r"named more than once: 0\.1"):
        LinearOnCropsConfig(name="linear_on_crops", learning_rates=(0.1, 0.1))
