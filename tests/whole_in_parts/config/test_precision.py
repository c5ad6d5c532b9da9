"""Each evaluation has a precision of its own, which its backbone computes in; attacks have none."""

from pathlib import Path

import pytest
import torch

from stages.corrupt import corrupt
from stages.extract import extract
from stages.linear import linear
from stages.mask import mask
from stages.transfer import transfer
from whole_in_parts.config.study import Study
from whole_in_parts.evaluation import features
from whole_in_parts.models import saved_backbone
from whole_in_parts.results import result_dir

HALF = {"precision": "bfloat16"}
TASK = {"run": "supervised", "dataset": "digits", "task": {"name": "linear"} | HALF}
STAGES = {
    extract: ("extract", HALF),
    linear: ("linear", {"crops": HALF}),
    corrupt: ("corrupt", HALF),
    mask: ("mask", HALF),
    transfer: ("transfer", {"supervised": TASK}),
}


class Loaded(Exception):
    """A stage has asked for its backbone."""


def asking(small: Study, section: str, options: dict) -> Study:
    """The small study, with other options in a section."""
    content = small.model_dump()
    return Study.model_validate(content | {section: content[section] | options})


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_the_precision_of_an_evaluation_reaches_its_backbone(small, built, tmp_path, monkeypatch, stage):
    def load(folder: Path, device: torch.device, precision: str) -> None:
        raise Loaded(precision)

    monkeypatch.setattr(saved_backbone, "load", load)
    with pytest.raises(Loaded, match="bfloat16"):
        stage(asking(small, *STAGES[stage]), "supervised", tmp_path)


def test_features_in_bfloat16_are_stored_in_float32_and_near_those_of_float32(small, built, tmp_path):
    extract(asking(small, "extract", HALF), "supervised", tmp_path)
    half = features.read(tmp_path / "test.arrow").features_ND
    single = features.read(result_dir("extract", "supervised") / "test.arrow").features_ND
    assert half.dtype == torch.float32
    assert not torch.equal(half, single)
    assert (half - single).norm() < 0.05 * single.norm()


def test_an_attack_is_always_float32(small):
    with pytest.raises(ValueError, match=r"attack[\s\S]*no such key: precision"):
        asking(small, "attack", HALF)
