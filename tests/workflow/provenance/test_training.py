"""A training goes on as what it was begun as, or says what has changed."""

import shutil
from pathlib import Path

import pytest
import torch

from whole_in_parts.checkpoints import Checkpoints
from whole_in_parts.config.transform import ImageTransform
from whole_in_parts.data.shards import INDEX
from whole_in_parts.failure import Failure
from workflow.provenance.training import configuration

STATE = {"weights": {"a": torch.zeros(2)}}


@pytest.fixture
def begun(small, shards, tmp_path):
    """What a training was begun as, of which there is a checkpoint."""
    facts = configuration(small.runs["byol"], ImageTransform(), "byol", shards, None)
    Checkpoints(tmp_path / "checkpoints", facts).save(STATE)
    return facts


def go_on(folder: Path, facts: dict[str, str]) -> dict | None:
    return Checkpoints(folder / "checkpoints", facts).load()


def test_what_is_unchanged_goes_on(begun, small, shards, tmp_path):
    assert go_on(tmp_path, configuration(small.runs["byol"], ImageTransform(), "byol", shards, None)) is not None


def test_a_changed_parameter_is_refused_by_its_key_and_both_values(begun, small, shards, tmp_path):
    run = small.runs["byol"]
    changed = run.model_copy(update={"optimizer": run.optimizer.model_copy(update={"learning_rate": 0.123})})
    with pytest.raises(Failure, match=r"runs\.byol\.optimizer\.learning_rate: 0\.\d+, but now it is 0\.123"):
        go_on(tmp_path, configuration(changed, ImageTransform(), "byol", shards, None))


def test_a_changed_test_transform_is_refused_by_its_key(begun, small, shards, tmp_path):
    facts = configuration(small.runs["byol"], ImageTransform(resize=9), "byol", shards, None)
    with pytest.raises(Failure, match=r"datasets\.digits\.test_transform\.resize: null, but now it is 9"):
        go_on(tmp_path, facts)


def test_a_parameter_that_is_gone_or_new_is_refused(begun, tmp_path):
    facts = dict(begun)
    value = facts.pop("runs.byol.seed")
    with pytest.raises(Failure, match=rf"runs\.byol\.seed: {value}, but now it is nothing"):
        go_on(tmp_path, facts)
    with pytest.raises(Failure, match=r"runs\.byol\.more: nothing, but now it is 1"):
        go_on(tmp_path, begun | {"runs.byol.more": "1"})


@pytest.mark.parametrize("split", ["train", "test"])
def test_changed_data_is_refused_by_its_file(begun, small, shards, tmp_path, split):
    folder = tmp_path / "data"
    shutil.copytree(shards, folder)
    with (folder / split / INDEX).open("ab") as stream:
        stream.write(b"x")
    facts = configuration(small.runs["byol"], ImageTransform(), "byol", folder, None)
    assert facts[str(folder / split / INDEX)] != begun[str(shards / split / INDEX)]


def test_changed_code_is_refused_by_its_file(begun, tmp_path):
    with pytest.raises(Failure, match=r"whole_in_parts/training/loop\.py: "):
        go_on(tmp_path, begun | {"whole_in_parts/training/loop.py": "0" * 16})


def test_code_of_another_method_is_no_part_of_what_a_training_depends_on(begun):
    assert "whole_in_parts/methods/byol.py" in begun
    assert (
        not {"whole_in_parts/methods/dino.py", "whole_in_parts/methods/distillation.py", "stages/linear.py"}
        & begun.keys()
    )
