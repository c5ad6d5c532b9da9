"""One shard: what is kept, what is made smaller, and what is left when it cannot be written."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from stages.shard import pack
from whole_in_parts.config.source import Resize
from whole_in_parts.data.packing import parts
from whole_in_parts.data.packing.plan import Plan
from whole_in_parts.data.shards import INDEX, Shards
from whole_in_parts.data.source import Sample
from whole_in_parts.failure import Failure


def picture(width: int, height: int, kind: str = "jpeg", mode: str = "RGB") -> bytes:
    pixels = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, kind)
    return stream.getvalue()


def samples(number: int = 6) -> list[Sample]:
    return [Sample(f"{each}", each % 2, picture(10 + each, 12), "jpg") for each in range(number)]


def packed(tmp_path, given: list[Sample], name: str = "packed", **options):
    folder = tmp_path / name
    folder.mkdir()
    pack(given, ["even", "odd"], folder, 2, name, **options)
    return folder


@pytest.mark.parametrize("processes", [2, 3])
def test_any_number_of_processes_writes_the_same_bytes(tmp_path, processes):
    alone, shared = (packed(tmp_path, samples(), str(number), processes=number) for number in (1, processes))
    names = sorted(file.name for file in alone.iterdir())
    assert names == ["000000.tar", "000001.tar", "000002.tar", INDEX]
    for name in names:
        assert (alone / name).read_bytes() == (shared / name).read_bytes(), name


def test_images_are_made_smaller_only_where_their_short_side_is_longer_than_asked(tmp_path):
    given = {
        "wide": Sample("wide", 0, picture(60, 40), "jpg"),
        "high": Sample("high", 0, picture(40, 50, "png", "RGBA"), "png"),
        "grey": Sample("grey", 0, picture(64, 32, mode="L"), "jpg"),
        "equal": Sample("equal", 0, picture(20, 33, "png"), "png"),
        "small": Sample("small", 0, picture(19, 40), "jpg"),
    }
    split = Shards(packed(tmp_path, list(given.values()), resize=Resize(short_side=20, quality=80)))
    found = {key: split[number] for number, key in enumerate(split.keys)}
    opened = {key: Image.open(io.BytesIO(image)) for key, image in found.items()}
    assert {key: image.size for key, image in opened.items()} == {
        "wide": (30, 20), "high": (20, 25), "grey": (40, 20), "equal": (20, 33), "small": (19, 40)
    }  # fmt: skip
    assert [opened[key].format for key in ("wide", "high", "grey")] == ["JPEG"] * 3
    assert opened["grey"].mode == "L"
    assert all(found[key] == given[key].image for key in ("equal", "small"))


def test_the_quality_is_that_which_is_asked_for(tmp_path):
    given = [Sample("one", 0, picture(60, 40), "jpg")]
    lengths = [
        len(Shards(packed(tmp_path, given, str(quality), resize=Resize(short_side=20, quality=quality)))[0])
        for quality in (30, 95)
    ]
    assert lengths[0] < 0.7 * lengths[1]


@pytest.fixture
def plan(tmp_path) -> Plan:
    return Plan(samples(), 2, tmp_path)


def test_a_shard_that_is_whole_is_kept(plan, tmp_path):
    parts.make_shard(plan, 1)
    before = (tmp_path / "000001.tar").stat()
    assert parts.make_shard(plan, 1) == (2, [])
    assert (tmp_path / "000001.tar").stat() == before


@pytest.mark.parametrize("name", ["000001.tar", "000001.json"])
@pytest.mark.parametrize("change", ["gone", "cut short"])
def test_a_shard_that_is_not_whole_is_made_anew(plan, tmp_path, name, change):
    parts.make_shard(plan, 1)
    whole = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    (tmp_path / name).write_bytes(whole[name][:100]) if change == "cut short" else (tmp_path / name).unlink()
    assert parts.make_shard(plan, 1) == (2, [])
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == whole


@pytest.mark.parametrize("full", ["000001.tar.unfinished", "000001.json.unfinished"])
def test_where_there_is_no_space_left_the_shard_is_named_and_nothing_of_it_remains(plan, tmp_path, full):
    parts.make_shard(plan, 0)
    (tmp_path / full).symlink_to("/dev/full")
    with pytest.raises(Failure, match=f"{tmp_path}/000001.tar: cannot be written: No space left on device"):
        parts.make_shard(plan, 1)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["000000.json", "000000.tar"]


PEAK = """
import sys
from pathlib import Path
from collections.abc import Sequence
from stages.shard import pack
from whole_in_parts.data.source import Sample
from tests.whole_in_parts.data.packing.test_parts import picture

class Made(Sequence):
    image = picture(200, 160) + bytes(100_000)
    def __len__(self): return int(sys.argv[2])
    def __getitem__(self, number): return Sample(str(number), 0, self.image[:-1 - number], "jpg")

folder = Path(sys.argv[1]); folder.mkdir()
pack(Made(), ["one"], folder, 100, "made")
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def test_memory_does_not_grow_with_the_dataset(root, tmp_path):
    peaks = [
        int(
            subprocess.run(
                [sys.executable, "-c", PEAK, str(tmp_path / str(number)), str(number)],
                cwd=root, check=True, capture_output=True, text=True,
            ).stdout
        )
        for number in (100, 800)
    ]  # fmt: skip
    assert sum(file.stat().st_size for file in (tmp_path / "800").iterdir()) > 90e6
    assert peaks[1] - peaks[0] < 8_000
