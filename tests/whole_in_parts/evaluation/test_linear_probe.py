import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from whole_in_parts.config.evaluations import Linear
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.evaluation import linear_probe
from whole_in_parts.evaluation.features import Features
from whole_in_parts.failure import Failure

CPU = torch.device("cpu")
OPTIONS = Linear(epochs=30, batch_size=64, learning_rate=0.1, weight_decay=0.0)


@pytest.fixture(scope="module")
def pixels(shards) -> dict[str, Features]:
    """The pixels of the digits as features, of which some never change."""
    given = {}
    for name in ("train", "test"):
        split = Shards(shards / name)
        every_BCHW = Images(split, 8, 1)[np.arange(len(split))]
        given[name] = Features(split.keys, torch.from_numpy(split.labels), every_BCHW.flatten(1).float() / 255)
    assert (given["train"].features_ND.std(0) == 0).any()
    return given


def test_accuracy_on_the_pixels_of_digits_is_that_of_scikit_learn_within_two_points(pixels, claim):
    train, test = pixels["train"], pixels["test"]
    ours = linear_probe.top1(linear_probe.train(train, 10, OPTIONS)(test.features_ND), test.labels_N)
    scaler = StandardScaler().fit(train.features_ND)
    theirs = LogisticRegression(max_iter=300).fit(scaler.transform(train.features_ND), train.labels_N)
    expected = 100 * theirs.score(scaler.transform(test.features_ND), test.labels_N)
    claim("top1 of scikit-learn", expected, above=94)
    claim("difference of top1", abs(ours - expected), below=2)


def test_the_scale_and_the_origin_of_features_make_no_difference(pixels, claim):
    train, test = pixels["train"], pixels["test"]
    moved = [part._replace(features_ND=part.features_ND.double() * 250 + 40) for part in (train, test)]
    moved = [part._replace(features_ND=part.features_ND.float()) for part in moved]
    plain_NK = linear_probe.train(train, 10, OPTIONS)(test.features_ND)
    moved_NK = linear_probe.train(moved[0], 10, OPTIONS)(moved[1].features_ND)
    claim("agreement", (plain_NK.argmax(1) == moved_NK.argmax(1)).double().mean().item(), above=0.99)


def test_the_same_features_give_the_same_classifier_whatever_was_drawn_before(pixels):
    first = linear_probe.train(pixels["train"], 10, OPTIONS)
    torch.rand(7)
    second = linear_probe.train(pixels["train"], 10, OPTIONS)
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)


def test_a_folded_layer_gives_for_features_what_the_layer_gives_for_standardised_ones():
    layer, x_ND = nn.Linear(6, 3).double(), torch.rand(20, 6, dtype=torch.float64) * 9 + 4
    mean_D, std_D = x_ND.mean(0), x_ND.std(0)
    expected_NK = layer((x_ND - mean_D) / std_D)
    torch.testing.assert_close(linear_probe.fold_standardisation(layer, mean_D, std_D)(x_ND), expected_NK)


def test_a_classifier_reads_back_as_it_was_saved_and_is_frozen(tmp_path):
    layer, x_ND = nn.Linear(6, 3), torch.rand(20, 6)
    linear_probe.save(layer, tmp_path / "classifier.safetensors")
    loaded = linear_probe.load(tmp_path / "classifier.safetensors", CPU)
    assert torch.equal(loaded(x_ND), layer(x_ND))
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


@pytest.mark.parametrize(("labels", "accuracy"), [([0, 1, 1], 100), ([1, 1, 1], 66.6667), ([1, 0, 0], 0)])
def test_top1_is_the_share_of_right_answers_in_per_cent(labels, accuracy):
    logits_NK = torch.tensor([[2.0, 1.0], [0.0, 0.1], [-3.0, -2.0]])
    assert linear_probe.top1(logits_NK, torch.tensor(labels)) == accuracy


def test_a_classifier_that_is_not_there_is_refused_with_how_to_make_it(tmp_path):
    with pytest.raises(Failure, match=r"byol/classifier\.safetensors: there is no .*: dvc repro linear@byol"):
        linear_probe.load(tmp_path / "byol" / "classifier.safetensors", CPU)


@pytest.mark.parametrize("harm", ["cut", "empty", "without a bias", "of one number", "of another shape", "a folder"])
def test_a_damaged_classifier_is_a_failure_that_names_it(tmp_path, harm):
    file = tmp_path / "classifier.safetensors"
    tensors = {
        "without a bias": {"weight": torch.ones(3, 2)},
        "of one number": {"weight": torch.tensor(1.0), "bias": torch.ones(3)},
        "of another shape": {"weight": torch.ones(3, 2), "bias": torch.ones(4)},
    }
    save_file(tensors.get(harm, {"weight": torch.ones(3, 2), "bias": torch.ones(3)}), file)
    if harm == "cut":
        file.write_bytes(file.read_bytes()[:-5])
    if harm == "empty":
        file.write_bytes(b"")
    if harm == "a folder":
        file.unlink()
        file.mkdir()
    with pytest.raises(Failure, match=r"classifier\.safetensors: no linear classifier that can be loaded") as error:
        linear_probe.load(file, torch.device("cpu"))
    assert len(str(error.value).splitlines()) == 1


def test_the_learning_rate_follows_a_cosine_or_steps_at_three_and_four_fifths():
    def rates(schedule: str) -> list[float]:
        options = OPTIONS.model_copy(update={"schedule": schedule, "epochs": 10, "learning_rate": 0.5})
        return [linear_probe.learning_rate(options.learning_rate, options, epoch) for epoch in range(10)]

    assert rates("steps") == pytest.approx([0.5] * 6 + [0.05] * 2 + [0.005] * 2)
    assert rates("cosine") == pytest.approx([0.25 * (1 + np.cos(np.pi * epoch / 10)) for epoch in range(10)])


def test_steps_lead_to_another_classifier_that_is_as_good(pixels, claim):
    train, test = pixels["train"], pixels["test"]
    cosine, steps = (
        linear_probe.train(train, 10, OPTIONS.model_copy(update={"schedule": schedule}))
        for schedule in ("cosine", "steps")
    )
    assert not torch.equal(cosine.weight, steps.weight)
    accuracies = [linear_probe.top1(layer(test.features_ND), test.labels_N) for layer in (cosine, steps)]
    claim("difference of top1", abs(accuracies[0] - accuracies[1]), below=1)


@pytest.mark.parametrize("percent", [1, 10, 33, 100])
def test_a_share_of_the_labels_is_that_of_each_class_and_always_the_same(pixels, percent):
    train = pixels["train"]
    some, again = linear_probe.label_fraction(train, percent), linear_probe.label_fraction(train, percent)
    expected = [round(percent / 100 * count) for count in np.bincount(train.labels_N)]
    assert np.bincount(some.labels_N).tolist() == expected
    assert some.keys == again.keys
    assert set(some.keys) <= set(linear_probe.label_fraction(train, min(100, 2 * percent)).keys)
    place = {key: number for number, key in enumerate(train.keys)}
    indices = [place[key] for key in some.keys]
    assert torch.equal(some.features_ND, train.features_ND[indices])
    assert torch.equal(some.labels_N, train.labels_N[indices])


def test_a_share_that_is_no_sample_of_a_class_is_refused_by_the_key_and_the_class():
    labels_N = torch.tensor([0] * 100 + [7] * 20)
    content = Features([str(number) for number in range(120)], labels_N, torch.zeros(120, 2))
    with pytest.raises(Failure, match=r"linear\.labels: 1 % of the 20 training samples with label 7 is not one sample"):
        linear_probe.label_fraction(content, 1)
