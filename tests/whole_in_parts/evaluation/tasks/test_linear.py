import pytest
import torch
from pydantic import ValidationError

from tests.whole_in_parts.evaluation.tasks.pictures import distorted, picture, sample
from whole_in_parts.config.evaluations import Linear
from whole_in_parts.config.tasks.linear import LinearTaskConfig
from whole_in_parts.evaluation.tasks import linear

SGD = {"epochs": 30, "batch_size": 10, "learning_rate": 0.1, "weight_decay": 0.0}


@pytest.fixture
def context(give):
    """Ten distorted copies of each of three pictures to learn from, and five to be told."""
    classes = ["ash", "elm", "oak"]
    train, test = (
        [
            sample(f"{label}/{seed}", label, distorted(picture(label), seed))
            for label in range(len(classes))
            for seed in seeds
        ]
        for seeds in (range(10), range(100, 105))
    )
    return give(train, test, classes)


@pytest.mark.parametrize("probe", [None, Linear(**SGD)], ids=["logistic", "sgd"])
def test_random_features_tell_copies_of_three_pictures_apart_better_than_chance(context, probe, claim):
    found = linear.evaluate(context, LinearTaskConfig(name="linear", probe=probe))
    claim("top1", found["top1"], above=60)
    assert found["mean_per_class"] == pytest.approx(found["top1"])
    assert ("penalty" in found) == (probe is None)


def test_the_mean_per_class_weighs_a_rare_class_as_much_as_a_common_one_and_leaves_out_those_without_samples():
    labels_N = torch.tensor([0] * 8 + [1] * 2)
    logits_NC = torch.eye(3)[torch.tensor([0] * 8 + [0, 1])]
    assert linear.mean_per_class(logits_NC, labels_N) == 75
    assert linear.top1(logits_NC, labels_N) == 90


@pytest.mark.parametrize("metric", ["top1", "mean_per_class"])
def test_the_headline_is_the_metric_that_the_entry_chooses(metric):
    task = LinearTaskConfig(name="linear", metric=metric)
    assert task.headline == metric
    assert task.headline in linear.METRICS


@pytest.mark.parametrize("change", [{"solver": "lbfgs"}, {"labels": [1, 100]}])
def test_a_probe_that_is_not_by_sgd_and_all_labels_is_refused(change):
    with pytest.raises(ValidationError, match="probe: takes solver sgd and labels"):
        LinearTaskConfig(name="linear", probe=SGD | change)
