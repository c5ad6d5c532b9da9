import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.evaluation import logistic_probe
from whole_in_parts.evaluation.features import Features
from whole_in_parts.failure import Failure


@pytest.fixture(scope="module")
def pixels(shards) -> dict[str, Features]:
    """The pixels of the digits as features, in double precision."""
    given = {}
    for name in ("train", "test"):
        split = Shards(shards / name)
        every_BCHW = Images(split, 8, 1)[np.arange(len(split))]
        given[name] = Features(split.keys, torch.from_numpy(split.labels), every_BCHW.flatten(1).double() / 255)
    return given


def oracle(x_ND: torch.Tensor, y_N: torch.Tensor, weight: float) -> LogisticRegression:
    """scikit-learn minimises C · Σ cross-entropy + ½ ‖θ‖²; a feature that is one has the biases as its weights."""
    model = LogisticRegression(C=1 / (2 * weight), fit_intercept=False, tol=1e-10, max_iter=10_000)
    return model.fit(with_one(x_ND), y_N.numpy())


def with_one(x_ND: torch.Tensor) -> np.ndarray:
    return torch.cat([x_ND, torch.ones(len(x_ND), 1, dtype=x_ND.dtype)], 1).numpy()


@pytest.mark.parametrize("weight", [0.01, 1.0, 100.0])
def test_the_minimum_is_that_of_scikit_learn(pixels, weight):
    train = pixels["train"]
    layer, chosen = logistic_probe.fit(train.features_ND, train.labels_N, 10, [weight])
    theirs = oracle(train.features_ND, train.labels_N, weight)
    assert chosen == weight
    ours_CD = torch.cat([layer.weight, layer.bias[:, None]], 1)
    np.testing.assert_allclose(ours_CD, theirs.coef_, atol=1e-4)


def test_of_several_penalties_the_one_that_is_best_on_samples_held_out_is_taken(pixels, claim):
    train, test = pixels["train"], pixels["test"]
    weights = [1e-4, 1e-2, 1.0, 100.0, 1e4]
    layer, chosen = logistic_probe.fit(train.features_ND, train.labels_N, 10, weights)
    chooses_N = logistic_probe.held_out(train.labels_N)
    scores = []
    for weight in weights:
        model = oracle(train.features_ND[~chooses_N], train.labels_N[~chooses_N], weight)
        scores.append(model.score(with_one(train.features_ND[chooses_N]), train.labels_N[chooses_N].numpy()))
    assert len(set(scores)) > 2
    assert chosen == weights[int(np.argmax(scores))]  # the first of equals
    theirs = oracle(train.features_ND, train.labels_N, chosen).predict(with_one(test.features_ND))
    claim("agreement", (layer(test.features_ND).argmax(1).numpy() == theirs).mean(), above=0.99)


def test_in_single_precision_the_classifier_says_what_it_says_in_double(pixels, claim):
    train, test = pixels["train"], pixels["test"]
    (single, _), (double, _) = (
        logistic_probe.fit(x_ND, train.labels_N, 10, [0.1, 1.0])
        for x_ND in (train.features_ND.float(), train.features_ND)
    )
    same_N = single(test.features_ND.float()).argmax(1) == double(test.features_ND).argmax(1)
    claim("agreement", same_N.double().mean().item(), above=0.99)


def test_each_class_holds_out_its_share_and_always_the_same_samples(pixels):
    labels_N = pixels["train"].labels_N
    chooses_N = logistic_probe.held_out(labels_N)
    expected = np.round(np.bincount(labels_N) / 10)
    np.testing.assert_array_equal(np.bincount(labels_N[chooses_N]), expected)
    assert torch.equal(chooses_N, logistic_probe.held_out(labels_N))


def test_a_class_without_samples_keeps_its_place_and_is_never_said(pixels):
    train = pixels["train"]
    layer, _ = logistic_probe.fit(train.features_ND[:300], train.labels_N[:300], 12, [1.0])
    assert layer.out_features == 12
    assert layer(train.features_ND).argmax(1).max() < 10


def test_samples_that_are_too_few_to_choose_by_are_refused_with_their_number():
    with pytest.raises(Failure, match=r"of 8 training samples, 10% of each class is less than one sample"):
        logistic_probe.fit(torch.randn(8, 3), torch.arange(8) % 2, 2)
