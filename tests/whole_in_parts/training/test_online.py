import copy

import numpy as np
import pytest
import torch
from torch import nn

from whole_in_parts.augment.views import Crop, make_batch
from whole_in_parts.config.training import Online as Options
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.evaluation.nearest_neighbours import nearest, vote
from whole_in_parts.failure import Failure
from whole_in_parts.schedules import Clock
from whole_in_parts.training import collapse
from whole_in_parts.training.building import build
from whole_in_parts.training.online import MEASURED, PROBES, EvalSubset, OnlineEvaluation

CPU = torch.device("cpu")
CLOCK = Clock(step=3, steps=10, per_epoch=5)


@pytest.fixture(scope="module")
def unseen(shards) -> Images:
    """The test digits: 450."""
    return Images(Shards(shards / "test"), 8, 1)


@pytest.fixture
def make(small, images, unseen):
    """A function that gives a method of the small study, and an online evaluation with other options."""

    def both(name: str = "byol", **options):
        run = small.runs[name].model_copy(update={"online": Options(**options)})
        method = build(run, 10).train()
        return method, OnlineEvaluation(run, method.backbone, images, unseen, CPU)

    return both


@pytest.fixture
def batch(small, images):
    """64 digits in two views."""
    indices = np.arange(64)
    crops = [Crop(view, 8) for view in small.runs["byol"].views]
    return make_batch(images[indices], torch.from_numpy(images.shards.labels[indices]), crops, indices, 0, 0)


def width(online: OnlineEvaluation) -> int:
    return online.probes.linear["global"].in_features


def state(method: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in method.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize(("name", "views"), [("byol", 2), ("co_byol", 2), ("supervised", 1)])
def test_the_features_of_the_views_are_captured_without_gradients(make, batch, name, views):
    method, online = make(name)
    online.add_features(method(batch).features, batch.labels_B)
    method(batch)
    ((features, labels_N),) = online.captured
    assert features["global"].shape == (views * 64, method.backbone.features)
    assert not features["global"].requires_grad
    assert torch.equal(labels_N, batch.labels_B.repeat(views))


def test_a_step_of_the_probe_leaves_no_gradient_in_the_method_and_changes_nothing_of_it(make, batch):
    method, online = make()
    online.add_features(method(batch).features, batch.labels_B)
    before = state(method)
    online.step(CLOCK)
    assert same(state(method), before)
    assert all(parameter.grad is None for parameter in method.parameters())
    assert all(
        layer.weight.abs().sum() > 0 for layer in (online.probes.linear["global"], online.probes.plain["global"])
    )


def test_a_batch_that_comes_in_pieces_moves_the_probe_as_a_batch_at_once(make):
    labels_B = torch.arange(64) % 10
    at_once, pieces = make()[1], make()[1]
    x_BD = torch.randn(64, width(at_once))
    at_once.captured = [({"global": x_BD}, labels_B)]
    pieces.captured = [({"global": x_BD[:32]}, labels_B[:32]), ({"global": x_BD[32:]}, labels_B[32:])]
    at_once.step(CLOCK), pieces.step(CLOCK)
    assert same(state(at_once.probes), state(pieces.probes))


def test_a_step_of_a_probe_is_that_of_sgd_on_features_as_they_are_or_standardised_at_its_own_rate(make, small):
    _, online = make(learning_rate=0.8)
    x_BD, labels_B = 5 + 3 * torch.randn(64, width(online)), torch.arange(64) % 10
    online.captured = [({"global": x_BD}, labels_B)]
    online.step(Clock(step=5, steps=10, per_epoch=50))  # the warm-up has 10 steps, from 0 to the peak
    z_BD = (x_BD - x_BD.mean(0)) / (x_BD.var(0, correction=0) + 1e-5).sqrt()
    wrong_BC = torch.full((64, 10), 0.1) - torch.eye(10)[labels_B]
    rate = 0.8 * 64 / 256 * 5 / 9
    for layers, input_BD in ((online.probes.linear, z_BD), (online.probes.plain, x_BD)):
        torch.testing.assert_close(layers["global"].bias, -rate * wrong_BC.mean(0))
        torch.testing.assert_close(layers["global"].weight, -rate * wrong_BC.T @ input_BD / 64)


def test_the_pooled_map_is_probed_too_where_layers_follow_the_pooling(make, batch):
    method, online = make("co_byol", samples=300)
    online.add_features(method(batch).features, batch.labels_B)
    online.step(CLOCK)
    assert tuple(online.evaluate(method, CLOCK)) == MEASURED

    method.eval(), online.probes.eval()
    with torch.no_grad():
        pooled_ND = torch.cat([method.backbone(images_BCSS).pooled_BC for images_BCSS in online.test.batches()])
        expected_NC = online.probes.plain["patch"](pooled_ND)
        found = online.probes(online.test.features(method.backbone, online.widths))
    torch.testing.assert_close(found["online_plain_patch"], expected_NC)


def test_an_evaluation_changes_nothing_of_the_training(make, batch):
    method, online = make()
    method.backbone.conv1.eval()  # as a method that freezes a part of itself may have it
    before, generator = state(method), torch.get_rng_state()
    probes, modes = state(online.probes), [part.training for part in method.modules()]
    online.evaluate(method, CLOCK)
    assert same(state(method), before)
    assert same(state(online.probes), probes)
    assert torch.equal(torch.get_rng_state(), generator)
    assert [part.training for part in method.modules()] == modes
    assert all(part.training for part in online.probes.modules())
    assert online.captured == []


@pytest.mark.parametrize("probed", [300, 450], ids=["before the end", "at the end"])
def test_what_is_measured_is_that_of_the_kept_backbone_in_evaluation_mode(make, images, unseen, probed):
    method, online = make(samples=300, neighbours=7)
    with torch.no_grad():
        for layer in (online.probes.linear["global"], online.probes.plain["global"]):
            layer.weight.normal_()
    found = online.evaluate(method, CLOCK if probed == 300 else CLOCK._replace(step=10))
    method.eval(), online.probes.eval()
    with torch.no_grad():
        bank, test = (EvalSubset(split, 300, CPU) for split in (images, unseen))
        bank_ND, test_ND = (method.backbone(torch.cat(list(part.batches()))).global_BD for part in (bank, test))
        similarity_NK, labels_NK = nearest(bank_ND, bank.labels_N, [test_ND], 7)
        knn_N = vote(similarity_NK, labels_NK, 0.07).argmax(1)
        z_ND = method.project(test_ND)
        seen = EvalSubset(unseen, probed, CPU)
        logits = online.probes({"global": method.backbone(torch.cat(list(seen.batches()))).global_BD})
    assert tuple(found) == tuple(name for name in MEASURED if "patch" not in name)
    for name in PROBES:
        correct_N = logits[name].argmax(1) == seen.labels_N
        assert found[name] == pytest.approx(100 * correct_N.float().mean().item())
    assert found["online_knn"] == pytest.approx(100 * (knn_N == test.labels_N).float().mean().item())
    assert found["rank"] == pytest.approx(collapse.rank(z_ND), rel=1e-3)
    assert found["spread"] == pytest.approx(collapse.spread(z_ND), rel=1e-3)


def test_a_method_whose_embeddings_are_all_the_same_has_collapsed(make):
    method, online = make()
    last = method.heads.projector.online[-1]
    nn.init.zeros_(last.weight), nn.init.ones_(last.bias)
    assert online.evaluate(method, CLOCK)["collapsed"] == 1


def test_a_part_has_the_same_share_of_each_class_and_is_always_the_same(images):
    parts = [EvalSubset(images, 300, CPU) for _ in range(2)]
    assert parts[0].indices.tolist() == parts[1].indices.tolist()
    assert len(parts[0].indices) == pytest.approx(300, abs=5)
    counts = np.bincount(images.shards.labels) / len(images)
    np.testing.assert_allclose(np.bincount(parts[0].labels_N) / len(parts[0].indices), counts, atol=0.005)
    assert torch.equal(torch.cat(list(parts[0].batches())), images[parts[0].indices].float() / 255)


@pytest.mark.parametrize(
    ("every", "expected"), [(1, [5, 10, 15, 20, 23]), (3, [15, 23]), (9, [23])], ids=["each", "third", "last"]
)
def test_it_is_due_every_so_many_epochs_and_at_the_end(make, every, expected):
    _, online = make(every=every)
    assert [step for step in range(1, 24) if online.due(Clock(step, 23, 5))] == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 2, "neighbours": 1}, r"online\.samples: 2 of 450 images is not one image of any class"),
        ({"samples": 2000, "neighbours": 1500}, r"online\.neighbours: 1500 of 1347 training images"),
    ],
)
def test_too_few_images_are_refused_by_the_name_of_the_key(make, options, message):
    with pytest.raises(Failure, match=message):
        make(**options)


def test_its_state_is_all_that_the_next_step_depends_on(make):
    _, online = make()
    _, other = make()
    for turn in range(3):
        if turn == 2:
            other.load_state_dict(copy.deepcopy(online.state_dict()))
        x_BD = torch.randn(64, width(online))
        for each in [online] if turn < 2 else [online, other]:
            each.captured = [({"global": x_BD}, torch.arange(64) % 10)]
            each.step(CLOCK)
    assert same(state(online.probes), state(other.probes))


def test_the_probe_learns_to_tell_the_classes_apart(make, images, claim):
    method, online = make("supervised", learning_rate=1.0)
    labels_N = torch.from_numpy(images.shards.labels)
    method.eval()
    with torch.no_grad():
        features_ND = method.backbone(images[np.arange(len(images))].float() / 255).global_BD
    online.add_features({"global": features_ND}, labels_N)
    before = online.evaluate(method, CLOCK)["online_linear"]
    captured = online.captured.copy()
    for step in range(100):
        online.captured = captured.copy()
        online.step(Clock(step, 100, 100))
    claim("before", before, below=20)
    claim("after", online.evaluate(method, CLOCK)["online_linear"], above=50)
