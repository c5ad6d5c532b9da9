import hashlib
import io
import pickle
from pathlib import Path

import pytest
import torch

from whole_in_parts import checkpoints
from whole_in_parts.checkpoints import Checkpoints
from whole_in_parts.failure import Failure

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


def test_the_last_two_are_kept(tmp_path):
    saving = Checkpoints(tmp_path)
    for step in range(4):
        saving.save(STATE | {"step": step})
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["00000002.pt", "00000003.pt"]


@pytest.mark.parametrize("harm", ["cut", "changed", "empty"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(tmp_path, harm, capsys):
    saving = Checkpoints(tmp_path)
    saving.save(STATE | {"step": 2})
    saving.save(STATE)
    newest = saving.files()[-1]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes({"cut": newest.read_bytes()[:-100], "changed": bytes(content), "empty": b""}[harm])
    assert Checkpoints(tmp_path).load()["step"] == 2
    assert str(newest) in capsys.readouterr().err


def sealed(content: bytes) -> bytes:
    """What a file has in which the checksum is right."""
    return hashlib.sha256(content).digest() + content


def pickled(content: object) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


NO_CHECKPOINTS = {
    "nothing": b"",
    "text": b"not found\n",
    "a pickle of code": pickle.dumps(print),
    "half an archive": pickled(STATE)[:-200],
    "a tensor": pickled(torch.ones(3)),
    "no configuration": pickled({"state": STATE}),
    "a state that is a list": pickled({"configuration": {}, "state": [1]}),
    "half a number": pickle.dumps(1.5)[:-5],
}


@pytest.mark.parametrize("name", NO_CHECKPOINTS)
def test_a_file_whose_checksum_is_right_and_that_is_no_checkpoint_is_a_failure_that_names_it(tmp_path, name):
    (tmp_path / "00000000.pt").write_bytes(sealed(NO_CHECKPOINTS[name]))
    with pytest.raises(Failure, match=r"00000000\.pt: its checksum is right, but it .*; remove it$") as error:
        Checkpoints(tmp_path).load()
    assert len(str(error.value).splitlines()) == 1


def test_a_state_of_another_network_is_a_failure_that_names_the_folder(tmp_path):
    saving = Checkpoints(tmp_path)
    saving.save({"model": torch.nn.Linear(2, 3).state_dict()})
    model = torch.nn.Linear(3, 3)
    for key in ("model", "optimizer"):
        with (
            pytest.raises(Failure, match=f"{tmp_path}: the checkpoint holds another state") as error,
            saving.restoring(),
        ):
            model.load_state_dict(saving.load()[key])
        assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("seconds", ["abc", "nan", "-1"])
def test_a_time_between_checkpoints_that_is_none_is_refused_by_the_name_of_the_variable(tmp_path, monkeypatch, seconds):
    monkeypatch.setenv("CHECKPOINT_SECONDS", seconds)
    with pytest.raises(Failure, match=f"CHECKPOINT_SECONDS={seconds}: allowed is a number of 0.0 or more"):
        Checkpoints(tmp_path)


def test_where_all_are_damaged_a_training_begins_anew(tmp_path):
    saving = Checkpoints(tmp_path)
    saving.save(STATE)
    saving.files()[0].write_bytes(b"nothing")
    assert Checkpoints(tmp_path).load() is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full, which has no space left")
def test_a_full_disk_is_an_error_and_leaves_what_was_saved_before(tmp_path):
    saving = Checkpoints(tmp_path)
    saving.save(STATE)
    (tmp_path / "00000001.unfinished").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        saving.save(STATE | {"step": 4})
    assert [file.name for file in tmp_path.iterdir()] == ["00000000.pt"]
    assert Checkpoints(tmp_path).load()["step"] == 3


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """What the checkpoints take for the time: whole seconds, so that no sum of them is rounded."""
    now = [100.0]
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])
    monkeypatch.delenv("CHECKPOINT_SECONDS", raising=False)
    return now


def test_a_checkpoint_that_takes_long_is_due_less_often(tmp_path, clock):
    saving = Checkpoints(tmp_path)
    saving.save_seconds = 60.0
    clock[0] += 60 * checkpoints.SAVE_TIMES - 1
    assert not saving.due()
    clock[0] += 1
    assert saving.due()


def test_a_checkpoint_is_due_once_an_interval_after_the_last(tmp_path, clock):
    saving = Checkpoints(tmp_path)
    found = []
    for _ in range(6):
        found.append(saving.due())
        if found[-1]:
            saving.save(STATE)
        clock[0] += checkpoints.INTERVAL_SECONDS / 2
    assert found == [False, False, True, False, True, False]
