"""One shard: a tar, and beside it what the index is to say of it (`<number>.json`), which is there when both are whole.

A shard that is there from a packing that was stopped is kept if its bytes are those that were written.
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


def tar_of(folder: Path, shard: int) -> Path:
    return folder / f"{shard:06d}.tar"


def facts(folder: Path, shard: int) -> dict[str, Any]:
    """The checksum of a shard that is whole, `sha256`, and its `rows` of the index, each with its annotation."""
    return json.loads(tar_of(folder, shard).with_suffix(".json").read_bytes())


def make(plan: Plan, shard: int) -> int:
    """See that a shard is there, whole; give how many samples it has.

    Raises:
        Failure: a sample is not an image, or the shard cannot be written.
    """
    tar = tar_of(plan.folder, shard)
    if (kept := _kept(plan.folder, shard)) is not None:
        return kept
    unfinished = tar.with_suffix(".tar.unfinished")
    try:
        rows = write(unfinished, (shrink(sample, plan.resize) for sample in plan.of(shard)), tar.name)
        _replace(tar.with_suffix(".json"), json.dumps({"sha256": sha256(unfinished), "rows": rows}), unfinished, tar)
    except OSError as error:
        raise Failure(f"{tar}: cannot be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return len(rows)


def write(file: Path, samples: Iterable[Sample], name: str) -> list[dict]:
    """Write one shard; give its rows of the index, in the order of the shard, each with the sample's annotation."""
    rows = {}
    with (
        file.open("wb") as stream,
        TarWriter(stream, encoder=False, user="", group="", mtime=0, format="GNU_FORMAT") as tar,
    ):
        for sample in samples:
            tar.write({"__key__": sample.key, sample.extension: sample.image, "cls": str(sample.label).encode()})
            row = describe(sample) | {"shard": name, "annotation": sample.annotation}
            rows[f"{sample.key}.{sample.extension}"] = row
    with tarfile.open(file) as tar:
        for member in tar:
            if member.name in rows:
                rows[member.name]["offset"] = member.offset_data
    return list(rows.values())


def describe(sample: Sample) -> dict:
    """The columns of the index that the image itself gives.

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
    """The sample as a JPEG of the short side that is asked for, or as it is where it is no larger.

    Raises:
        Failure: it is larger, and cannot be decoded.
    """
    if resize is None or min(_open(sample).size) <= resize.short_side:
        return sample
    try:
        with _open(sample) as image:
            colours = image if image.mode in ("L", "RGB") else image.convert("RGB")
            share, stream = resize.short_side / min(image.size), io.BytesIO()
            size = (round(share * image.width), round(share * image.height))
            colours.resize(size, Image.Resampling.BICUBIC).save(stream, "jpeg", quality=resize.quality)
    except (OSError, SyntaxError, ValueError) as error:  # Pillow raises each of them for a broken PNG
        raise Failure(f"{sample.key}.{sample.extension}: cannot be decoded ({error})") from error
    return sample._replace(image=stream.getvalue(), extension="jpg")


def sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _open(sample: Sample) -> Image.Image:
    try:
        return Image.open(io.BytesIO(sample.image))
    except (OSError, ValueError) as error:
        raise Failure(f"{sample.key}.{sample.extension}: not an image that can be read ({error})") from error


def _kept(folder: Path, shard: int) -> int | None:
    """How many samples a shard has that is there and whole."""
    try:
        found = facts(folder, shard)
        return len(found["rows"]) if sha256(tar_of(folder, shard)) == found["sha256"] else None
    except (OSError, ValueError):
        return None


def _replace(said: Path, text: str, unfinished: Path, tar: Path) -> None:
    """Put a shard in its place, and then what is said of it."""
    begun = said.with_suffix(".json.unfinished")
    try:
        begun.write_text(text)
        unfinished.replace(tar)
        begun.replace(said)
    finally:
        begun.unlink(missing_ok=True)
