"""Write a single shard: a tar, and beside it its rows of the index (`<shard>.json`), which is written last.

A shard of an interrupted packing is kept if its checksum is the recorded one.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image
from webdataset import TarWriter

from whole_in_parts.config.source import Resize
from whole_in_parts.data.packing.plan import Plan
from whole_in_parts.data.source import Sample
from whole_in_parts.failure import Failure


def tar_path(folder: Path, shard: int) -> Path:
    """Return the path of a shard."""
    return folder / f"{shard:06d}.tar"


def shard_info(folder: Path, shard: int) -> dict[str, Any]:
    """Read the record of a finished shard: its `sha256` and its `rows` of the index, each with its annotation."""
    return json.loads(tar_path(folder, shard).with_suffix(".json").read_bytes())


def make_shard(plan: Plan, shard: int) -> int:
    """Write a shard, unless an interrupted packing has finished it; return its number of samples.

    Raises:
        Failure: a sample is not an image, or the shard cannot be written.
    """
    tar = tar_path(plan.folder, shard)
    if (length := _finished_length(plan.folder, shard)) is not None:
        return length

    unfinished = tar.with_suffix(".tar.unfinished")
    try:
        rows = write(unfinished, (shrink(sample, plan.resize) for sample in plan.of(shard)), tar.name)
        _replace(tar.with_suffix(".json"), json.dumps({"sha256": sha256(unfinished), "rows": rows}), unfinished, tar)
    except OSError as error:
        raise Failure(f"{tar}: cannot be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return len(rows)


def write(file: Path, samples: Iterable[Sample], name: str) -> list[dict[str, Any]]:
    """Write one shard; return its rows of the index, in the order of the shard, each with the sample's annotation."""
    rows = {}
    with (
        file.open("wb") as stream,
        TarWriter(stream, encoder=False, user="", group="", mtime=0, format="GNU_FORMAT") as tar,
    ):
        for sample in samples:
            tar.write({"__key__": sample.key, sample.extension: sample.image, "cls": str(sample.label).encode()})
            row = describe(sample) | {"shard": name, "annotation": sample.annotation}
            rows[f"{sample.key}.{sample.extension}"] = row

    # TarWriter does not report offsets: read them back.
    with tarfile.open(file) as tar:
        for member in tar:
            if member.name in rows:
                rows[member.name]["offset"] = member.offset_data
    return list(rows.values())


def describe(sample: Sample) -> dict[str, Any]:
    """Return the columns of the index that depend on the sample alone.

    Raises:
        Failure: the bytes are not an image.
    """
    width, height = _open(sample).size
    return {
        "key": sample.key,
        "label": sample.label,
        "height": height,
        "width": width,
        "bytes": len(sample.image),
        "sha256": hashlib.sha256(sample.image).hexdigest(),
    }


def shrink(sample: Sample, resize: Resize | None) -> Sample:
    """Shrink an image to the short side of `resize` and encode it as JPEG; smaller images stay unchanged.

    Raises:
        Failure: the image is larger and cannot be decoded.
    """
    if resize is None or min(_open(sample).size) <= resize.short_side:
        return sample
    try:
        with _open(sample) as image:
            converted = image if image.mode in ("L", "RGB") else image.convert("RGB")
            scale = resize.short_side / min(image.size)
            size = (round(scale * image.width), round(scale * image.height))
            stream = io.BytesIO()
            converted.resize(size, Image.Resampling.BICUBIC).save(stream, "jpeg", quality=resize.quality)
    except (OSError, SyntaxError, ValueError) as error:  # Pillow raises all three for a broken PNG
        raise Failure(f"{sample.key}.{sample.extension}: cannot be decoded ({error})") from error
    return sample._replace(image=stream.getvalue(), extension="jpg")


def sha256(file: Path) -> str:
    """Return the sha256 of a file as hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _open(sample: Sample) -> Image.Image:
    """Open an image without decoding it."""
    try:
        return Image.open(io.BytesIO(sample.image))
    except (OSError, ValueError) as error:
        raise Failure(f"{sample.key}.{sample.extension}: not an image that can be read ({error})") from error


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
