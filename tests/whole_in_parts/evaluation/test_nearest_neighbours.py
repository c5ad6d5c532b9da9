import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.evaluation.features import Features
from whole_in_parts.evaluation.nearest_neighbours import BLOCK, CHUNK, blockwise_topk, nearest, split_queries, vote


@pytest.fixture(scope="module")
def digits(shards) -> dict[str, Features]:
    """Pixels as features."""
    given = {}
    for name in ("train", "test"):
        split = Shards(shards / name)
        every_BCHW = Images(split, 8, 1)[np.arange(len(split))]
        given[name] = Features(split.keys, torch.from_numpy(split.labels), every_BCHW.flatten(1).float() / 255 - 0.4)
    return given


@pytest.mark.parametrize("temperature", [0.07, 1.0])
@pytest.mark.parametrize("k", [1, 5, 20, 200])
def test_the_vote_of_the_nearest_is_that_of_scikit_learn(digits, k, temperature):
    train, test = digits["train"], digits["test"]
    theirs = KNeighborsClassifier(
        k, metric="cosine", weights=lambda distances: np.exp((1 - distances) / temperature)
    ).fit(train.features_ND, train.labels_N)
    shares_NC = vote(*nearest(train.features_ND, train.labels_N, [test.features_ND], k), temperature)
    shares_NC = shares_NC / shares_NC.sum(1, keepdim=True)
    np.testing.assert_allclose(shares_NC, theirs.predict_proba(test.features_ND)[:, : shares_NC.shape[1]], atol=1e-4)
    assert shares_NC.argmax(1).tolist() == theirs.predict(test.features_ND).tolist()


def test_neighbours_are_the_same_in_chunks_of_any_size_and_for_features_of_any_length(digits):
    train, queries_ND = digits["train"], digits["test"].features_ND
    whole = nearest(train.features_ND, train.labels_N, [queries_ND], 10)
    longer_ND = train.features_ND * torch.rand(len(train.keys), 1).add(0.5)
    for one, other in zip(whole, nearest(longer_ND, train.labels_N, (3 * queries_ND).split(7), 10), strict=True):
        torch.testing.assert_close(one, other)


def test_a_near_neighbour_outvotes_more_that_are_far():
    similarity_NK, labels_NK = torch.tensor([[0.9, 0.5, 0.5]]), torch.tensor([[2, 1, 1]])
    assert vote(similarity_NK, labels_NK, 0.07).argmax(1).item() == 2
    assert vote(similarity_NK, labels_NK, 10.0).argmax(1).item() == 1


@pytest.mark.parametrize("temperature", [0.01, 1e-4])
def test_no_vote_overflows_at_a_cold_temperature(digits, temperature):
    similarity_NK, labels_NK = nearest(
        digits["train"].features_ND, digits["train"].labels_N, [digits["test"].features_ND], 20
    )
    shares_NK = torch.softmax(similarity_NK.double() / temperature, 1)
    expected_NC = torch.zeros(len(labels_NK), 10, dtype=torch.float64).scatter_add_(1, labels_NK, shares_NK)
    votes_NC = vote(similarity_NK, labels_NK, temperature).double()
    torch.testing.assert_close(votes_NC / votes_NC.sum(1, keepdim=True), expected_NC, atol=1e-3, rtol=0)


@pytest.mark.parametrize("k", [1, 10, 200])
def test_the_vote_is_that_of_a_loop_over_queries_and_neighbours(digits, k):
    train, queries_ND = digits["train"], digits["test"].features_ND[:25]
    bank = train.features_ND.double().numpy()
    expected = np.zeros((25, 10))
    for number, query in enumerate(queries_ND.double().numpy()):
        cosines = [query @ other / np.linalg.norm(query) / np.linalg.norm(other) for other in bank]
        order = sorted(range(len(bank)), key=lambda other: -cosines[other])
        for other in order[:k]:
            expected[number, train.labels_N[other]] += np.exp(cosines[other] / 0.07)
    votes_NC = vote(*nearest(train.features_ND, train.labels_N, [queries_ND], k), 0.07)
    shares_NC = votes_NC / votes_NC.sum(1, keepdim=True)
    shares = expected / expected.sum(1, keepdims=True)
    np.testing.assert_allclose(shares_NC, shares[:, : shares_NC.shape[1]], atol=1e-4)


@pytest.mark.parametrize(
    ("bank", "most"), [(10, CHUNK), (50_000, CHUNK), (1_000_000, 125), (200_000_000, 1)], ids=lambda value: f"{value}"
)
def test_a_large_bank_is_compared_with_fewer_queries_at_once(bank, most):
    queries_ND = torch.randn(CHUNK + 500, 1)
    parts = split_queries(queries_ND, bank)
    assert len(parts[0]) == most
    assert torch.equal(torch.cat(parts), queries_ND)


@pytest.mark.parametrize("rest", [0, 1, BLOCK - 1])
@pytest.mark.parametrize("k", [1, 7, 39, 40, 200])
def test_the_largest_values_are_those_of_topk_wherever_they_lie(k, rest):
    values_BM = torch.rand(50, 40 * BLOCK + rest)
    values_BM[0, -1 - k :] += 1  # all at the end, a few in each block
    values_BM[1, ::40] += 1  # all in one block
    found_BK, places_BK = blockwise_topk(values_BM, k)
    assert torch.equal(found_BK, values_BM.topk(k).values)
    assert torch.equal(values_BM.gather(1, places_BK), found_BK)
    assert all(len(places_K.unique()) == k for places_K in places_BK)


def test_of_equal_values_as_many_are_found_as_are_asked_for():
    values_BM = torch.randint(0, 3, (50, 40 * BLOCK + 5)).float()
    found_BK, places_BK = blockwise_topk(values_BM, 9)
    assert torch.equal(found_BK, values_BM.topk(9).values)
    assert all(len(places_K.unique()) == 9 for places_K in places_BK)
