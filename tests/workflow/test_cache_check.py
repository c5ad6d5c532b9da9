"""What comes back from the cache is what its name says, or it is made again."""

import json
import re
from pathlib import Path

import pytest

RESULT = "results/linear/byol"


@pytest.fixture
def lost(study):
    """The built study without one result, the bytes of that result, and the names of its objects in the cache."""
    result = study / RESULT
    before = {file.name: file.read_bytes() for file in result.iterdir() if not file.name.startswith(".")}
    name = re.search(rf"- path: {RESULT}\n      hash: md5\n      md5: (\w+\.dir)", (study / "dvc.lock").read_text())[1]
    study.run("rm", "-r", RESULT)
    return study, before, name


def cached(study, name: str) -> Path:
    """The object of a name, which may now be written."""
    file = study / ".dvc/cache/files/md5" / name[:2] / name[2:]
    file.chmod(0o644)
    return file


def flip(file: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def halve(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("damage", [flip, halve])
@pytest.mark.parametrize("damaged", ["classifier.safetensors", "the list of files"])
def test_a_damaged_object_is_not_restored_and_its_stage_runs_again(lost, damage, damaged):
    study, before, name = lost
    files = {entry["relpath"]: entry["md5"] for entry in json.loads(cached(study, name).read_text())}
    damage(cached(study, files.get(damaged, name)))

    printed = study.run("snakemake", "--cores", "2", RESULT)
    assert "damaged in the cache, and removed; linear@byol runs again" in printed
    after = {file.name: file.read_bytes() for file in (study / RESULT).iterdir() if not file.name.startswith(".")}
    assert after == before
    assert study.would_run() == set()


def test_whole_objects_are_restored_without_a_run(lost):
    study, before, _ = lost
    printed = study.run("snakemake", "--cores", "2", RESULT)
    assert "is cached - skipping run, checking out outputs" in printed
    assert "damaged" not in printed
    assert (study / RESULT / "classifier.safetensors").read_bytes() == before["classifier.safetensors"]
