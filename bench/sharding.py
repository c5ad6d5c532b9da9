"""How fast images are packed, and what ImageNet would take: `python -m bench.sharding [FOLDER]`.

It writes up to 4 GB into the folder at a time, so it is no part of `make bench`; in `/dev/shm`, it is not the disk that
is measured. The images are crops of photographs,
as many different ones as make a source of 1,000; they are read from a tar, as `folder` keeps them, again and again.
"""

import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from stages.shard import pack
from whole_in_parts.config.source import Resize
from whole_in_parts.data.sources.folder import FILE, Members

DIFFERENT, PER_SHARD, IMAGENET = 1_000, 1_000, 1_281_167
COUNTS = (10_000, 20_000, 40_000)
SMALL, LARGE = (32, 32), (500, 375)


def photographs(folder: Path, size: tuple[int, int], quality: int) -> Path:
    """A tar of JPEGs of a size."""
    dice, originals = np.random.default_rng(0), [Image.fromarray(pixels) for pixels in load_sample_images().images]
    with tarfile.open(folder / FILE, "w") as tar:
        for number in range(DIFFERENT):
            original, stream = originals[number % 2], io.BytesIO()
            left, top = (int(dice.integers(side // 4)) for side in original.size)
            box = (left, top, left + 3 * original.width // 4, top + 3 * original.height // 4)
            original.crop(box).resize(size).save(stream, "jpeg", quality=quality)
            member = tarfile.TarInfo(f"{number:08d}.jpg")
            member.size = len(stream.getvalue())
            tar.addfile(member, io.BytesIO(stream.getvalue()))
    return folder / FILE


def one(source: Path, count: int, processes: int, short_side: int) -> None:
    """Pack so many images, until the disk has them; print the seconds and the largest memory of a process in MiB."""
    with tarfile.open(source) as tar:
        places = [(member.offset_data, member.size) for member in tar]
    samples = Members(source, [(f"class/{n:08d}.jpg", 0, *places[n % DIFFERENT]) for n in range(count)])
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        split, started = Path(folder) / "train", time.perf_counter()
        split.mkdir()
        pack(samples, ["class"], split, PER_SHARD, "", Resize(short_side=short_side) if short_side else None, processes)
        for file in split.iterdir():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        seconds = time.perf_counter() - started
    own = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(seconds, max(int(own.split()[1]), getrusage(RUSAGE_CHILDREN).ru_maxrss) / 1024)


def measured(source: Path, count: int, processes: int, short_side: int = 0) -> tuple[float, float]:
    """Seconds and MiB of a packing by a process of its own."""
    command = [sys.executable, "-m", "bench.sharding", str(source), str(count), str(processes), str(short_side)]
    seconds, memory = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(seconds), float(memory)


def table(folder: Path) -> None:
    print("| packed | kB an image | processes | images | images/s | MiB |\n|---|---:|---:|---:|---:|---:|")
    source = photographs(folder, SMALL, 90)
    for processes in (1, 2):
        show("32 px, as they are", source, 10_000, processes)
    source = photographs(folder, LARGE, 97)
    for processes in (1, 2):
        show("500 × 375, as they are", source, 10_000, processes)
    show("500 × 375, resized to 256", source, 2_000, 1, 256)
    found = [show("500 × 375, as they are", source, count, 2) for count in COUNTS]
    (seconds, _), (memory, base) = (np.polyfit(COUNTS, column, 1) for column in zip(*found, strict=True))
    minutes = IMAGENET * seconds / 60
    print(f"\n{IMAGENET:,} images by 2 processes: {minutes:.0f} minutes, {base + IMAGENET * memory:,.0f} MiB a process")
    print(f"(the slopes: {1000 * seconds:.2f} ms and {1024 * 1024 * memory:.0f} bytes an image)")


def show(what: str, source: Path, count: int, processes: int, short_side: int = 0) -> tuple[float, float]:
    seconds, memory = measured(source, count, processes, short_side)
    size = source.stat().st_size / DIFFERENT / 1000
    print(f"| {what} | {size:.1f} | {processes} | {count:,} | {count / seconds:,.0f} | {memory:.0f} |", flush=True)
    return seconds, memory


if __name__ == "__main__":
    if len(sys.argv) > 2:
        one(Path(sys.argv[1]), *map(int, sys.argv[2:]))
    else:
        with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as place:
            table(Path(place))
