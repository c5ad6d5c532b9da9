"""A record differs if and only if what the stage reads or runs does."""

import json
from pathlib import Path

import pytest

from whole_in_parts.config.study import load_study
from workflow.provenance.record import flat, record, records

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def shipped():
    return load_study(ROOT / "workflow/studies/small.yaml")


def test_there_is_a_record_of_every_stage_by_its_kind_and_key(shipped):
    written = dict(records(shipped))
    runs = {f"{kind}/{run}.json" for kind in ("pretrain", "extract", "linear", "knn") for run in shipped.runs}
    assert runs | {"fetch/digits.json", "transfer/byol_digits.json", "report.json"} <= {str(path) for path in written}
    assert json.loads(written[Path("linear/byol.json")]) == record(shipped, "linear", "byol")


def test_a_record_names_every_file_of_code_and_its_hash(shipped):
    content = record(shipped, "linear", "byol")
    assert content["code"].keys() >= {
        "stages/linear.py",
        "whole_in_parts/evaluation/linear_probe.py",
        "whole_in_parts/schedules.py",
    }
    assert not [file for file in content["code"] if file.startswith("whole_in_parts/methods")]


def test_mending_one_method_leaves_the_records_of_others_alone(shipped):
    of_byol = record(shipped, "pretrain", "byol")["code"].keys()
    assert "whole_in_parts/methods/byol.py" in of_byol
    assert not of_byol & {
        "whole_in_parts/methods/dino.py",
        "whole_in_parts/methods/distillation.py",
        "whole_in_parts/modifiers/co.py",
    }


def test_values_are_flat_by_the_keys_that_lead_to_them():
    content = {"a": {"b": [1, {"c": None}], "empty": []}, "d": "x"}
    assert flat("", content) == {"a.b.0": "1", "a.b.1.c": "null", "a.empty": "[]", "d": '"x"'}
