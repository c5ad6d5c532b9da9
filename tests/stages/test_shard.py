"""The stage itself; `packing/` has how a shard is made, `images/test_shards.py` what is read of it."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from stages.shard import shard, shards_folder
from whole_in_parts.config.study import Study
from whole_in_parts.data.shards import Shards
from whole_in_parts.data.sources import digits
from whole_in_parts.results import atomic_output_dir, result_dir, scratch_dir


def test_both_splits_of_a_fetched_dataset_are_packed_in_shards_of_the_given_length(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = small.datasets["digits"]
    with atomic_output_dir("fetch", "digits") as directory:
        digits.fetch(options.source, directory)
    with atomic_output_dir("shard", "digits") as directory:
        shard(small, "digits", directory)
    content = digits.read(options.source, result_dir("fetch", "digits"))
    for split, samples in content.splits.items():
        packed = result_dir("shard", "digits") / split
        assert len(list(packed.glob("*.tar"))) == -(-len(samples) // options.samples_per_shard)
        read = Shards(packed)
        found = [int(key) for key in read.keys]
        assert sorted(found) == list(range(len(samples)))
        np.testing.assert_array_equal(read.labels, samples.labels[found])
        for number in (0, len(samples) - 1):
            pixels = np.asarray(Image.open(io.BytesIO(read[number])))
            np.testing.assert_array_equal(pixels, samples.pixels[found[number]])
    assert not scratch_dir("shard", "digits").exists()


def test_the_part_of_a_dataset_that_is_asked_for_is_packed(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = small.datasets["digits"].model_copy(update={"classes": ["7", "1"], "fraction": 0.1})
    with atomic_output_dir("fetch", "digits") as directory:
        digits.fetch(options.source, directory)
    with atomic_output_dir("shard", "digits") as directory:
        shard(small.model_copy(update={"datasets": {"digits": options}}), "digits", directory)
    train, test = (Shards(result_dir("shard", "digits") / split) for split in ("train", "test"))
    labels = digits.read(options.source, result_dir("fetch", "digits")).splits["test"].labels
    assert train.classes == test.classes == ["7", "1"]
    assert np.bincount(test.labels).tolist() == [(labels == 7).sum(), (labels == 1).sum()]
    assert len(test) / 3 * 0.25 < len(train) < len(test) / 3 * 1.25  # a quarter of all images is test


@pytest.fixture
def photographs(root, tmp_path, monkeypatch) -> Path:
    """A place with a study of a folder of 320 images, fetched."""
    monkeypatch.chdir(tmp_path)
    dice = np.random.default_rng(0)
    for number in range(320):
        image = Path("photographs", ["train", "test"][number % 4 == 0], "ab"[number % 2], f"{number}.png")
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(dice.integers(0, 256, (160, 160, 3), dtype=np.uint8)).save(image, compress_level=0)
    content = yaml.safe_load((root / "workflow/studies/small.yaml").read_text())
    source = {"name": "folder", "path": "photographs", "resize": {"short_side": 120}}
    content["datasets"]["photographs"] = content["datasets"]["digits"] | {"source": source, "samples_per_shard": 4}
    Path("params.yaml").write_text(yaml.safe_dump(content))
    start("fetch").communicate()
    return tmp_path


def start(stage: str) -> subprocess.Popen:
    command, root = [sys.executable, "-m", f"stages.{stage}", "photographs"], str(Path(__file__).parents[2])
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": root}, stderr=subprocess.PIPE, text=True)


def finish() -> None:
    packing = start("shard")
    _, error = packing.communicate(timeout=60)
    assert packing.returncode == 0, error


def until(reached) -> None:
    for _ in range(3000):
        if reached():
            return
        time.sleep(0.01)
    raise TimeoutError


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_packing_that_is_killed_leaves_no_result_and_goes_on_from_the_shards_that_are_whole(photographs):
    result, scratch = result_dir("shard", "photographs"), scratch_dir("shard", "photographs")
    packing = start("shard")
    until(lambda: len(list(scratch.rglob("train/*.json"))) >= 5)
    workers = Path(f"/proc/{packing.pid}/task/{packing.pid}/children").read_text().split()
    packing.kill()
    packing.communicate()
    assert packing.returncode == -signal.SIGKILL
    until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    assert not result.exists()

    whole = {file.with_suffix(".tar").name: file.with_suffix(".tar").stat() for file in scratch.rglob("train/*.json")}
    assert 5 <= len(whole) < 60
    finish()
    found = {name: (result / "train" / name).stat() for name in whole}
    assert {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items()} == {
        name: (stat.st_ino, stat.st_mtime_ns) for name, stat in whole.items()
    }
    assert not scratch.exists()

    interrupted = content(result)
    assert len(interrupted) == 60 + 20 + 2 + 1  # shards, indexes, croissant.json
    finish()
    assert content(result) == interrupted


def test_images_that_cannot_be_packed_end_the_stage_with_one_line_for_all_splits(photographs):
    for file in ("train/b/1.png", "test/a/0.png"):
        (photographs / "photographs" / file).write_bytes(b"no image")
    start("fetch").communicate()
    packing = start("shard")
    _, error = packing.communicate(timeout=60)
    assert packing.returncode == 1
    (line,) = (line for line in error.splitlines() if "cannot be packed" in line)
    assert "photographs: 2 of 320 images cannot be packed: 2 cannot be decoded (train/b/1.png: " in line
    assert "test/a/0.png: " in line
    assert "Traceback" not in error
    assert not result_dir("shard", "photographs").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a file system that is full soon")
def test_a_packing_without_space_stops_and_leaves_no_result(photographs):
    disk = Path("disk")
    disk.mkdir()
    mounting = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)], capture_output=True)
    if mounting.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        for folder in (scratch_dir("shard"), result_dir("shard")):
            (disk / folder.parent).mkdir()
            (disk / folder).mkdir()
            folder.parent.mkdir(exist_ok=True)
            folder.symlink_to((disk / folder).absolute())
        packing = start("shard")
        _, error = packing.communicate(timeout=60)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert packing.returncode == 1
    assert ".tar: cannot be written: No space left on device" in error
    assert not result_dir("shard", "photographs").exists()


def test_shards_of_other_options_are_not_kept(small, tmp_path):
    (tmp_path / "one").mkdir()
    assert shards_folder(tmp_path, "one").exists()
    assert shards_folder(tmp_path, "other") == tmp_path / "other"
    assert not (tmp_path / "one").exists()


def test_a_source_whose_annotations_are_in_pixels_cannot_be_made_smaller(small):
    content = small.model_dump()
    content["datasets"]["digits"]["source"] = {"name": "coco", "path": "coco", "resize": {"short_side": 256}}
    with pytest.raises(ValueError, match="no such key: resize"):
        Study.model_validate(content)
