"""Write a single shard: a tar, and beside it its rows of the index (`<shard>.json`), which is written last.

A shard of an interrupted packing is kept if its checksum is the recorded one.
"""

import hashlib
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from webdataset import TarWriter

from whole_in_parts.config.source import Resize
from whole_in_parts.data.conversion import Refused
from whole_in_parts.data.packing.images import Refusal, as_packed
from whole_in_parts.data.packing.plan import Plan
from whole_in_parts.data.source import Sample
from whole_in_parts.failure import Failure


def tar_path(folder: Path, shard: int) -> Path:
    """Return the path of a shard."""
    return folder / f"{shard:06d}.tar"


def shard_info(folder: Path, shard: int) -> dict[str, Any]:
    """Read the record of a finished shard: its `sha256` and its `rows` of the index, each with its annotation."""
    return json.loads(tar_path(folder, shard).with_suffix(".json").read_bytes())


class Outcome(NamedTuple):
    """What packing a shard came to: its number of samples, and those of them that were refused."""

    samples: int
    refused: list[Refusal]


def make_shard(plan: Plan, shard: int) -> Outcome:
    """Write a shard, unless an interrupted packing has finished it, or an image of it is refused.

    Raises:
        Failure: the shard cannot be written.
    """
    tar = tar_path(plan.folder, shard)
    if (length := _finished_length(plan.folder, shard)) is not None:
        return Outcome(length, [])

    unfinished = tar.with_suffix(".tar.unfinished")
    try:
        rows, refused = write(unfinished, plan.of(shard), tar.name, plan.resize)
        if not refused:
            record = json.dumps({"sha256": sha256(unfinished), "rows": rows})
            _replace(tar.with_suffix(".json"), record, unfinished, tar)
    except OSError as error:
        raise Failure(f"{tar}: cannot be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return Outcome(len(rows) + len(refused), refused)


def write(
    file: Path, samples: Iterable[Sample], name: str, resize: Resize | None
) -> tuple[list[dict[str, Any]], list[Refusal]]:
    """Write one shard; return its rows of the index, in its order and with annotations, and the refused images."""
    rows, refused = [], []
    with (
        file.open("wb") as stream,
        TarWriter(stream, encoder=False, user="", group="", mtime=0, format="GNU_FORMAT") as tar,
    ):
        for sample in samples:
            try:
                packed, size = as_packed(sample, resize)
            except Refused as error:
                refused.append(Refusal(f"{sample.key}.{sample.extension}", error.reason, error.detail))
                continue
            tar.write({"__key__": packed.key, packed.extension: packed.image, "cls": str(packed.label).encode()})
            # TarWriter reports no offsets. It writes in the order of the endings, so the image is written last.
            place = {"shard": name, "offset": tar.tarstream.offset - in_blocks(len(packed.image))}
            rows.append(describe(packed, size) | place | {"annotation": packed.annotation})
    return rows, refused


def in_blocks(size: int) -> int:
    """Return the bytes that a member of `size` bytes takes in a tar."""
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def describe(sample: Sample, size: tuple[int, int]) -> dict[str, Any]:
    """Return the columns of the index that depend on the sample alone; `size` is its width and height."""
    width, height = size
    return {
        "key": sample.key,
        "label": sample.label,
        "height": height,
        "width": width,
        "bytes": len(sample.image),
        "sha256": hashlib.sha256(sample.image).hexdigest(),
    }


def sha256(file: Path) -> str:
    """Return the sha256 of a file as hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _finished_length(folder: Path, shard: int) -> int | None:
    """Return the number of samples of a shard if it exists and its checksum is the recorded one, otherwise None."""
    try:
        info = shard_info(folder, shard)
        return len(info["rows"]) if sha256(tar_path(folder, shard)) == info["sha256"] else None
    except (OSError, ValueError):
        return None


def _replace(record: Path, text: str, unfinished: Path, tar: Path) -> None:
    """Rename a shard to its final path, and then its record, so that a record implies a complete shard."""
    unfinished_record = record.with_suffix(".json.unfinished")
    try:
        unfinished_record.write_text(text)
        unfinished.replace(tar)
        unfinished_record.replace(record)
    finally:
        unfinished_record.unlink(missing_ok=True)
