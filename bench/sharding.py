"""Measure the speed of packing, and extrapolate to ImageNet: `python -m bench.sharding [FOLDER]`.

The benchmark writes up to 4 GB into the folder, so `make bench` does not run it; a folder in `/dev/shm` excludes the
speed of the disk. The source is a tar, as `folder` writes it, of 1,000 crops of photographs, which are read repeatedly.
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

DISTINCT, PER_SHARD, IMAGENET = 1_000, 1_000, 1_281_167
COUNTS = (10_000, 20_000, 40_000)
SMALL, LARGE = (32, 32), (500, 375)


def photographs(folder: Path, size: tuple[int, int], quality: int) -> Path:
    """Write a tar of JPEGs of a size."""
    rng = np.random.default_rng(0)
    originals = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    with tarfile.open(folder / FILE, "w") as tar:
        for number in range(DISTINCT):
            original = originals[number % 2]
            stream = io.BytesIO()

            left, top = (int(rng.integers(side // 4)) for side in original.size)
            box = (left, top, left + 3 * original.width // 4, top + 3 * original.height // 4)
            original.crop(box).resize(size).save(stream, "jpeg", quality=quality)
            member = tarfile.TarInfo(f"{number:08d}.jpg")
            member.size = len(stream.getvalue())
            tar.addfile(member, io.BytesIO(stream.getvalue()))
    return folder / FILE


def pack_and_print(source: Path, count: int, processes: int, short_side: int) -> None:
    """Pack images and sync them to the disk; print the seconds and the largest memory of a process in MiB."""
    with tarfile.open(source) as tar:
        spans = [(member.offset_data, member.size) for member in tar]
    samples = Members(source, [(f"class/{n:08d}.jpg", 0, *spans[n % DISTINCT]) for n in range(count)])

    # Time until the disk has all shards, not only until they are in the page cache.
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        split = Path(folder) / "train"
        started = time.perf_counter()
        split.mkdir()
        pack(samples, ["class"], split, PER_SHARD, "", Resize(short_side=short_side) if short_side else None, processes)
        for file in split.iterdir():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        seconds = time.perf_counter() - started
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(seconds, max(int(peak.split()[1]), getrusage(RUSAGE_CHILDREN).ru_maxrss) / 1024)


def measure(source: Path, count: int, processes: int, short_side: int = 0) -> tuple[float, float]:
    """Measure the seconds and the MiB of a packing in a new process."""
    command = [sys.executable, "-m", "bench.sharding", str(source), str(count), str(processes), str(short_side)]
    seconds, memory = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(seconds), float(memory)


def table(folder: Path) -> None:
    """Print the speed of packing, and the time and memory of ImageNet by linear fits over the number of images."""
    print("| packed | kB an image | processes | images | images/s | MiB |\n|---|---:|---:|---:|---:|---:|")
    source = photographs(folder, SMALL, 90)
    for processes in (1, 2):
        show("32 px, as they are", source, 10_000, processes)
    source = photographs(folder, LARGE, 97)
    for processes in (1, 2):
        show("500 × 375, as they are", source, 10_000, processes)
    show("500 × 375, resized to 256", source, 2_000, 1, 256)
    measurements = [show("500 × 375, as they are", source, count, 2) for count in COUNTS]

    (seconds, _), (memory, base) = (np.polyfit(COUNTS, column, 1) for column in zip(*measurements, strict=True))
    minutes = IMAGENET * seconds / 60
    print(f"\n{IMAGENET:,} images by 2 processes: {minutes:.0f} minutes, {base + IMAGENET * memory:,.0f} MiB a process")
    print(f"(the slopes: {1000 * seconds:.2f} ms and {1024 * 1024 * memory:.0f} bytes an image)")


def show(name: str, source: Path, count: int, processes: int, short_side: int = 0) -> tuple[float, float]:
    """Measure a packing, print its row and return its seconds and MiB."""
    seconds, memory = measure(source, count, processes, short_side)
    size = source.stat().st_size / DISTINCT / 1000
    print(f"| {name} | {size:.1f} | {processes} | {count:,} | {count / seconds:,.0f} | {memory:.0f} |", flush=True)
    return seconds, memory


if __name__ == "__main__":
    if len(sys.argv) > 2:
        pack_and_print(Path(sys.argv[1]), *map(int, sys.argv[2:]))
    else:
        with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
            table(Path(folder))
