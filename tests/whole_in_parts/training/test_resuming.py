"""A training that is killed and goes on ends as one that is not."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from whole_in_parts.checkpoints import Checkpoints
from whole_in_parts.data import shards
from whole_in_parts.training import loop

STEPS = 21


class Killed(BaseException):
    """What a kill is to the loop: nothing that it could catch."""


def kill_at(monkeypatch, step: int) -> None:
    """Let the loop be killed when it makes the views of a step."""
    genuine = shards.make_batch

    def views(images, labels_B, crops, numbers, seed, now):
        if now == step:
            raise Killed
        return genuine(images, labels_B, crops, numbers, seed, now)

    monkeypatch.setattr(shards, "make_batch", views)


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
    monkeypatch.setattr(loop, "train_step", lambda *_: pytest.fail("a step too many"))
    same(train(run()), finished)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that can fork")
def test_killed_for_real_at_twenty_random_moments_a_pretraining_ends_in_the_same_bytes(root, place):
    content = yaml.safe_load((root / "workflow/studies/small.yaml").read_text())
    content["runs"]["byol"]["epochs"] = 25
    (place / "params.yaml").write_text(yaml.safe_dump(content))

    def end(kills: int, least: float = 0, most: float = 0) -> tuple[list[str], bytes]:
        command = [sys.executable, str(Path(__file__).with_name("killed.py")), str(kills), str(least), str(most)]
        environment = os.environ | {"PYTHONPATH": str(root)}
        ran = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.splitlines(), (place / "results/pretrain/byol/model/model.safetensors").read_bytes()

    started = time.monotonic()
    _, uninterrupted = end(0)
    whole = time.monotonic() - started
    shutil.rmtree(place / "results/pretrain")
    printed, bytes_at_the_end = end(20, 0.1, max(0.8, whole / 12))
    assert printed.count("killed") >= 15  # the rest came after the end, if the machine was faster than before
    assert len({line for line in printed if line.startswith("checkpoints")}) > 5
    assert bytes_at_the_end == uninterrupted
