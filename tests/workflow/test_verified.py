"""What is damaged in a cache never becomes a result: it is named, and what it was a copy of is built again."""

import json
import re
import shutil
from pathlib import Path

import pytest

BUILD = ("snakemake", "--cores", "all")
FEATURES = "results/extract/byol/test.arrow"
MODEL = "results/pretrain/byol/model/model.safetensors"


def flip(content: bytes) -> bytes:
    """The content with one bit of a byte in its middle changed."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def halve(content: bytes) -> bytes:
    return content[: len(content) // 2]


def stored(study, store: Path, result: str) -> Path:
    """The object of a file of a result in a cache or a remote."""
    kind, key, *within = Path(result).parts[1:]
    record = (study / "dvc.lock").read_text().partition(f"\n  {kind}@{key}:\n")[2].partition("    outs:\n")[2]
    folder = re.search(r"md5: (\w+\.dir)", record)[1]
    listed = json.loads((store / folder[:2] / folder[2:]).read_text())
    (name,) = [entry["md5"] for entry in listed if entry["relpath"] == "/".join(within)]
    return store / name[:2] / name[2:]


def damage(file: Path, harm) -> None:
    """Change a file that is protected from writing."""
    content = harm(file.read_bytes())
    file.chmod(0o644)
    file.write_bytes(content)
    file.chmod(0o444)


@pytest.mark.parametrize(("result", "harm"), [(FEATURES, flip), (MODEL, halve)], ids=["flipped", "halved"])
def test_a_result_whose_cached_copy_is_damaged_is_built_again_with_one_line_that_says_so(study, result, harm):
    good = (study / result).read_bytes()
    cached = stored(study, study / ".dvc/cache/files/md5", result)
    damage(cached, harm)
    shutil.rmtree((study / result).parent)
    printed = study.run(*BUILD)
    assert printed.count(f"{cached}: damaged, since its md5 is not its name; removed, and") == 1
    assert (study / result).read_bytes() == good
    assert cached.read_bytes() == good
    assert study.would_run() == set()


def test_a_damaged_copy_that_dvc_has_restored_is_seen_and_replaced(study):
    good = (study / FEATURES).read_bytes()
    damage(stored(study, study / ".dvc/cache/files/md5", FEATURES), flip)
    shutil.rmtree((study / FEATURES).parent)
    study.run("dvc", "checkout", "extract@byol")
    assert (study / FEATURES).read_bytes() != good
    assert {"extract/byol", "linear/byol"} <= study.would_run()
    study.run(*BUILD)
    assert (study / FEATURES).read_bytes() == good
    assert study.would_run() == set()


def test_a_damaged_object_of_a_remote_that_verifies_is_not_taken_and_its_result_is_named(study, tmp_path):
    study.run("dvc", "remote", "add", "--default", "laboratory", str(tmp_path / "remote"))
    study.run("dvc", "remote", "modify", "laboratory", "verify", "true")
    study.run("dvc", "push", "extract@byol")
    damage(stored(study, tmp_path / "remote/files/md5", FEATURES), flip)
    shutil.rmtree(study / ".dvc/cache/files/md5")
    shutil.rmtree((study / FEATURES).parent)
    printed = study.run("dvc", "pull", "extract@byol", fails=True)
    assert "Checkout failed for following targets:\nresults/extract/byol\n" in printed
    assert not (study / FEATURES).exists()
