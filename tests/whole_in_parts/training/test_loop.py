import math

import pytest
import torch
from torch import nn

from whole_in_parts.augment.views import Crop, make_batch
from whole_in_parts.checkpoints import Checkpoints
from whole_in_parts.data import sample_order, shards
from whole_in_parts.failure import Failure
from whole_in_parts.schedules import Clock
from whole_in_parts.training import loop, nonfinite_guard, optimizers
from whole_in_parts.training.building import build
from whole_in_parts.training.online import MEASURED, OnlineEvaluation

CPU = torch.device("cpu")
STEPS = 21  # of an epoch: 1,347 digits in batches of 64


class Nothing:
    """What is beside a training of which nothing is measured."""

    def add_features(self, views, labels_B):
        pass

    def step(self, clock):
        pass

    def due(self, clock):
        return False

    def state_dict(self):
        return {}


@pytest.mark.parametrize("name", ["byol", "co_byol", "supervised"])
def test_what_is_measured_beside_a_training_does_not_change_a_byte_of_it(run, train, name):
    (weights, training), (others, other) = train(run(name)), train(run(name), "without", Nothing())
    assert weights.keys() == others.keys()
    assert all(torch.equal(tensor, others[key]) for key, tensor in weights.items())
    assert [row["loss"] for row in training.history] == [row["loss"] for row in other.history]


def test_two_trainings_of_a_run_are_the_same_and_of_two_seeds_are_not(run, train, same):
    first, second, other = (train(run(seed=seed), str(number)) for number, seed in enumerate((0, 0, 1)))
    same(first, second)
    assert first[1].history[-1]["loss"] != other[1].history[-1]["loss"]


def test_a_loss_that_is_not_finite_stops_the_training_and_says_what_to_try(run, train):
    options = run("supervised")
    optimizer = options.optimizer.model_copy(update={"learning_rate": 1e25})
    with pytest.raises(Failure, match=r"the loss is not finite from step \d+ on; try a lower optimizer\.learning_rate"):
        train(options.model_copy(update={"optimizer": optimizer}))


@pytest.mark.parametrize("bad", ["loss", "gradient"])
def test_no_checkpoint_holds_what_is_not_finite(run, begin, tmp_path, monkeypatch, bad):
    method, options = build(run("supervised"), 10), run("supervised")
    genuine, calls = method.forward, []

    def forward(batch):
        calls.append(0)
        output = genuine(batch)
        if len(calls) == 8:  # a step of which no row is kept
            zero = sum(parameter.sum() for parameter in method.parameters()) * 0
            output.losses["classification"] += zero * math.nan if bad == "loss" else zero.abs().sqrt()
        return output

    method.forward = forward
    monkeypatch.setattr(loop, "ROWS", 1)
    monkeypatch.setattr(Checkpoints, "due", lambda self: len(calls) >= 6)
    with pytest.raises(Failure, match="from step 7 on" if bad == "loss" else "the weights are not"):
        begin(method, options)
    assert len(calls) == 8
    state = Checkpoints(tmp_path / "checkpoints").load()
    assert state["training"]["step"] == 7
    nonfinite_guard.NonFiniteGuard(CPU).raise_if_nonfinite(method_of(state))


def method_of(state: dict) -> nn.Module:
    holder = nn.Module()
    for number, tensor in enumerate(state["method"].values()):
        holder.register_buffer(f"tensor{number}", tensor)
    return holder


def test_a_step_is_prepare_forward_backward_clip_step_update(run, begin, monkeypatch):
    method, order_of_calls = build(run(optimizer={"clip_norm": 1.0}), 10), []

    def note(owner, name: str, what: str) -> None:
        genuine = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given: order_of_calls.append(what) or genuine(*given))

    for name in ("prepare", "forward", "backward", "update"):
        note(method, name, name)
    note(optimizers, "clip_gradients", "clip")
    note(torch.optim.SGD, "step", "step")
    begin(method, run(optimizer={"clip_norm": 1.0}), Nothing())
    assert order_of_calls == ["prepare", "forward", "backward", "clip", "step", "update"] * STEPS


def test_the_seconds_are_those_of_the_steps_alone(run, begin, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(loop.time, "monotonic", lambda: clock[0])

    def spend(owner, name: str, seconds: float) -> None:
        genuine = getattr(owner, name)

        def slow(*given, **named):
            clock[0] += seconds
            return genuine(*given, **named)

        monkeypatch.setattr(owner, name, slow)

    spend(shards, "make_batch", 1.0)
    spend(OnlineEvaluation, "evaluate", 1000.0)
    spend(Checkpoints, "save", 100_000.0)
    monkeypatch.setattr(Checkpoints, "due", lambda self: True)
    options = run("supervised")
    assert begin(build(options, 10), options).seconds == STEPS


@pytest.mark.parametrize("epochs", [1, 12])
def test_the_history_has_about_a_hundred_rows_at_most_with_the_first_and_the_last_step(run, train, epochs):
    _, training = train(run("supervised", epochs=epochs, online={"every": 5}))
    steps = [row["step"] for row in training.history]
    assert steps[0] == 0
    assert steps[-1] == training.step - 1 == epochs * STEPS - 1
    assert len(steps) <= 1.5 * loop.ROWS
    assert steps == sorted(set(steps))
    assert training.history[-1]["epoch"] == pytest.approx(epochs - 1 / STEPS)


def test_each_row_of_the_history_has_the_terms_of_the_loss_their_sum_and_the_scaled_learning_rate(run, train):
    _, training = train(run("co_byol", {"learning_rate": 0.4, "warmup_epochs": 0}))
    for row in training.history:
        measured = MEASURED if row["step"] == STEPS - 1 else ()
        assert list(row) == ["step", "epoch", "learning_rate", "loss", "global", "local", *measured]
        assert row["loss"] == pytest.approx(row["global"] + row["local"])
    assert training.history[0]["learning_rate"] == pytest.approx(0.4 * 64 / 256)


def test_it_is_measured_every_so_many_epochs_and_at_the_end(run, train):
    _, training = train(run("supervised", epochs=5, online={"every": 2}))
    measured = [row["step"] + 1 for row in training.history if "rank" in row]
    assert measured == [2 * STEPS, 4 * STEPS, 5 * STEPS]


def test_a_step_sees_the_views_of_the_samples_that_are_its_own_with_their_labels(run, images, begin):
    options, seen = run("supervised"), []
    method = build(options, 10)
    genuine = method.forward
    method.forward = lambda batch: seen.append(batch) or genuine(batch)
    begin(method, options)
    for step, batch in enumerate(seen):
        numbers = sample_order.batch(step, len(images), 64, options.seed)
        labels_B = torch.from_numpy(images.shards.labels[numbers])
        assert torch.equal(batch.labels_B, labels_B)
        expected = make_batch(images[numbers], labels_B, [Crop(options.views[0], 8)], numbers, options.seed, step)
        assert torch.equal(*batch.views, *expected.views)


def test_the_method_is_told_when_it_is_before_and_after_each_step(run, begin):
    options, before, after = run(optimizer={"warmup_epochs": 0}), [], []
    method = build(options, 10)
    method.prepare, method.update = before.append, after.append
    begin(method, options)
    rates = [optimizers.scheduled_rates(options, step, STEPS).learning_rate for step in range(STEPS)]
    assert before == [Clock(step, STEPS, STEPS, rate) for step, rate in enumerate(rates)]
    assert after == [Clock(step + 1, STEPS, STEPS, rate) for step, rate in enumerate(rates)]
    assert after[-1].progress == 1


def test_a_batch_that_is_larger_than_the_dataset_is_refused_by_the_name_of_the_key(run, train):
    with pytest.raises(ValueError, match="batch_size: a batch of 2000 needs as many samples, and there are 1347"):
        train(run(batch_size=2000))
