"""What the stages of the small study imported and read while it was built is in their records and dependencies."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from workflow.dvc_stages import MARKS, Stage
from workflow.provenance.code import LEFT_OUT

CODE = ("stages", "whole_in_parts", "workflow")
CACHED = re.compile(r"__pycache__/(\w+)\.cpython-\w+(\.opt-\d)?\.pyc$")


@pytest.fixture(scope="module")
def opened(built) -> dict[str, set[Path]]:
    """The files of the project that each stage opened, by its address."""
    folder = Path((built / "trace/folder").read_text())  # where it was built
    listings = [file for file in (built / "trace").iterdir() if file.name != "folder"]
    return {file.name: {*within(folder, file.read_text().splitlines())} for file in listings}


def within(folder: Path, files: list[str]) -> Iterator[Path]:
    """The files in a folder, relative to it, with the source of what was read compiled."""
    for file in files:
        if Path(file).is_relative_to(folder):
            yield Path(CACHED.sub(r"\1.py", file)).relative_to(folder)


@pytest.fixture(scope="module")
def stages(built) -> dict[str, Stage]:
    marks = [Stage.read_mark(file) for file in (built / MARKS).rglob("*.json")]
    return {stage.address: stage for stage in marks}


def test_every_stage_was_traced(opened, stages):
    assert opened.keys() == stages.keys()
    assert all(Path(f"stages/{stage.kind}.py") in opened[stage.address] for stage in stages.values())
    assert Path("whole_in_parts/methods/byol.py") in opened["pretrain@byol"]
    assert Path("results/pretrain/byol/metrics.json") in opened["report"]


def test_no_stage_ran_code_that_its_record_lacks(built, opened, stages):
    for stage in stages.values():
        if stage.kind == "resolve":
            continue
        record = json.loads((built / f"results/resolve/{stage.address.replace('@', '/')}.json").read_text())
        ran = {str(file) for file in opened[stage.address] if file.parts[0] in CODE}
        assert not {file for file in ran - record["code"].keys() if not file.startswith(tuple(LEFT_OUT))}, stage.address


def test_no_stage_read_data_that_it_does_not_depend_on(opened, stages):
    for stage in stages.values():
        own = [stage.output, stage.output.replace("results", "scratch", 1), "scratch/lock", "params.yaml", *CODE]
        allowed = [Path(place) for place in (*stage.deps, *own)]
        read = opened[stage.address]
        assert not [file for file in read if not any(file.is_relative_to(place) for place in allowed)], stage.address
