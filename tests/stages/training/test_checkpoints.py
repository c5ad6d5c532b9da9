import pytest
import torch

from stages.training import checkpoints
from stages.training.checkpoints import Checkpoints

STATE = {"step": 3, "weights": {"a": torch.arange(4.0)}, "history": [{"loss": 0.5}]}


def test_nothing_is_loaded_where_nothing_was_saved(tmp_path):
    assert Checkpoints(tmp_path / "none").load() is None


def test_the_newest_state_is_loaded_by_a_later_process(tmp_path):
    saving = Checkpoints(tmp_path / "run")
    saving.save(STATE | {"step": 2})
    saving.save(STATE)
    loaded = Checkpoints(tmp_path / "run").load()
    assert loaded["step"] == 3
    assert loaded["history"] == STATE["history"]
    assert torch.equal(loaded["weights"]["a"], STATE["weights"]["a"])


def test_a_kill_while_saving_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    saving = Checkpoints(tmp_path)
    saving.save(STATE)

    def killed(state, stream):
        stream.write(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        saving.save(STATE | {"step": 4})
    assert Checkpoints(tmp_path).load()["step"] == 3


def test_a_checkpoint_is_due_once_an_interval_after_the_last(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: clock[0])
    saving = Checkpoints(tmp_path)
    found = []
    for _ in range(6):
        found.append(saving.due())
        if found[-1]:
            saving.save(STATE)
        clock[0] += checkpoints.INTERVAL_SECONDS / 2
    assert found == [False, False, True, False, True, False]
