"""A training that is killed and goes on ends as one that is not."""

import pytest
import torch
from torch import nn

from stages.training import loop
from stages.training.checkpoints import Checkpoints

STEPS = 21


class Killed(BaseException):
    """What a kill is to the loop: nothing that it could catch."""


def kill_at(monkeypatch, step: int) -> None:
    """Let the loop be killed when it makes the views of a step."""
    genuine = loop.make_batch

    def views(images, labels_B, crops, numbers, seed, now):
        if now == step:
            raise Killed
        return genuine(images, labels_B, crops, numbers, seed, now)

    monkeypatch.setattr(loop, "make_batch", views)


@pytest.mark.parametrize(
    ("name", "optimizer"), [("byol", "sgd"), ("co_byol", "lars"), ("supervised", "adamw")], ids=lambda value: value
)
def test_a_training_that_is_killed_twice_ends_in_the_same_bytes_as_one_that_is_not(
    run, train, monkeypatch, name, optimizer, same
):
    options = run(name, {"name": optimizer, "learning_rate": 0.05})
    uninterrupted = train(options, "uninterrupted")
    monkeypatch.setattr(Checkpoints, "due", lambda self: True)
    for step in (5, 16):
        with monkeypatch.context() as patch:
            kill_at(patch, step)
            with pytest.raises(Killed):
                train(options)
    same(train(options), uninterrupted)


def test_a_training_that_draws_numbers_and_changes_its_weight_decay_survives_a_kill(run, train, monkeypatch, same):
    options = run("supervised", {"name": "adamw", "learning_rate": 0.01, "weight_decay_end": 0.4, "clip_norm": 0.5})
    genuine = nn.Linear.forward
    monkeypatch.setattr(
        nn.Linear, "forward", lambda self, x: nn.functional.dropout(genuine(self, x), 0.1, self.training)
    )
    uninterrupted = train(options, "uninterrupted")
    monkeypatch.setattr(Checkpoints, "due", lambda self: True)
    with monkeypatch.context() as patch:
        kill_at(patch, 11)
        with pytest.raises(Killed):
            train(options)
    torch.rand(7)
    same(train(options), uninterrupted)


def test_steps_after_the_last_checkpoint_are_taken_again_to_the_same_bytes(run, train, monkeypatch, same):
    options = run()
    uninterrupted = train(options, "uninterrupted")
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "due", lambda self: not self.files())
        kill_at(patch, 9)
        with pytest.raises(Killed):
            train(options)
    same(train(options), uninterrupted)


def test_a_training_that_is_killed_after_its_last_step_takes_no_step_more(run, train, monkeypatch, same):
    monkeypatch.setattr(Checkpoints, "due", lambda self: True)
    finished = train(run())
    kill_at(monkeypatch, STEPS)
    monkeypatch.setattr(loop, "advance", lambda *_: pytest.fail("a step too many"))
    same(train(run()), finished)
