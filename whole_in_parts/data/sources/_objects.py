"""Object-detection datasets, shared by `coco` and `voc`: photographs with annotated boxes and optional masks.

The annotation of a sample holds lists with one entry per object:

- `boxes`: left, top, right and bottom edge in pixels, clipped to the photograph;
- `labels`: indices of classes;
- `crowd`: whether the box is a region of many objects: it is not used in training, and detections in it are ignored;
- `difficult`: whether the object is optional: it is used in training, and detections of it are ignored;
- `masks`: the pixels of the object, run-length encoded as in COCO (column by column, compressed), or None;

and `size`, the height and width of the photograph. Objects whose box has no area inside the photograph are left out.
The label of a sample has no meaning: it is always 0, and all other classes are empty.
"""

import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from faster_coco_eval import mask
from PIL import Image

from whole_in_parts.data.source import Dataset, Sample, check
from whole_in_parts.data.sources import _archive, folder
from whole_in_parts.data.sources._files import check_file
from whole_in_parts.failure import Failure, first_line
from whole_in_parts.progress import progress

OBJECTS = "objects.json"
CHUNK = 1 << 20

Box = tuple[float, float, float, float]
Outline = Sequence[Sequence[float]] | Mapping[str, Any] | None
"""Polygons (x, y, x, y, …), a run-length encoding as in COCO, or None."""


class AnnotatedObject(NamedTuple):
    """One object; `name` identifies it in messages, and its box may extend beyond the photograph."""

    name: str
    box: Box
    label: int
    crowd: bool = False
    difficult: bool = False
    outline: Outline = None


class Photograph(NamedTuple):
    """An image file, its name within the split, its published height and width in pixels, and its objects."""

    file: Path
    name: str
    size: tuple[int, int]
    objects: list[AnnotatedObject]


def store(
    source: Path, sha256: str | None, classes: list[str], splits: Mapping[str, list[Photograph]], directory: Path
) -> None:
    """Pack the images of each split into a tar, and write the annotations beside it.

    Raises:
        Failure: an image is missing or its size is not the published one, a split has no object, a mask is invalid, or
            the checksum differs.
    """
    for photographs in splits.values():
        check_files(photographs)
    annotations = {split: pack(photographs, directory / f"{split}.tar", split) for split, photographs in splits.items()}
    content = {"classes": classes, "splits": annotations}
    (directory / OBJECTS).write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
    files = [directory / OBJECTS, *(directory / f"{split}.tar" for split in splits)]
    print(f"sha256 of {source}: {check(str(source), pieces(files), sha256)}", flush=True)


def check_files(photographs: list[Photograph]) -> None:
    """Check the image files and the uniqueness of the keys.

    Raises:
        Failure: a file is missing, too large or has another extension than an image, or two samples would have the
            same key.
    """
    if missing := [photograph.file for photograph in photographs if not photograph.file.is_file()]:
        raise Failure(f"{missing[0]}: no such file; {len(missing)} of {len(photographs)} images are missing")
    files = [photograph.file for photograph in photographs]
    if unsupported := [file for file in files if file.suffix.lower() not in folder.EXTENSIONS]:
        raise Failure(f"{unsupported[0]}: not one of {', '.join(folder.EXTENSIONS)}")

    for file in files:
        check_file(file)

    counts = Counter(folder.key(photograph.name) for photograph in photographs)
    if duplicates := [photograph for photograph in photographs if counts[folder.key(photograph.name)] > 1]:
        first = duplicates[0]
        raise Failure(f"{first.file}: {counts[folder.key(first.name)]} images are called so, but for their endings")


def pack(photographs: list[Photograph], packed: Path, split: str) -> dict[str, dict]:
    """Write a split's images to a tar whose bytes depend on names and contents alone; return their annotations."""
    annotations, empty = {}, list[str]()
    with tarfile.open(packed, "w") as tar:
        for photograph in progress(photographs, f"pack {split}", unit="image"):
            content = photograph.file.read_bytes()
            check_size(photograph, content)
            annotations[photograph.name] = annotate(photograph, empty)
            member = tarfile.TarInfo(photograph.name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))

    if empty:
        print(f"{split}: {len(empty)} objects without area in their image are left out, such as {empty[0]}", flush=True)
    if not any(annotation["boxes"] for annotation in annotations.values()):
        raise Failure(f"{split}: no object is in any of {len(photographs)} images")
    return annotations


def check_size(photograph: Photograph, content: bytes) -> None:
    """Check that an image has the size that its annotations refer to.

    Raises:
        Failure: the file is not an image, or has another size.
    """
    try:
        width, height = Image.open(io.BytesIO(content)).size
    except Exception as error:  # a broken file makes Pillow raise errors of many types
        raise Failure(f"{photograph.file}: not an image that can be read ({first_line(error)})") from error
    if (height, width) != photograph.size:
        raise Failure(
            f"{photograph.file}: {width}×{height} pixels, where the annotations say "
            f"{photograph.size[1]}×{photograph.size[0]}"
        )


def annotate(photograph: Photograph, empty: list[str]) -> dict[str, Any]:
    """Return the annotation of a photograph; the names of objects without area in it are appended to `empty`."""
    clipped = [(entry, clip_box(entry.box, photograph.size)) for entry in photograph.objects]
    empty += [entry.name for entry, box in clipped if box is None]
    kept = [(entry, box) for entry, box in clipped if box is not None]
    return {
        "boxes": [box for _, box in kept],
        "labels": [entry.label for entry, _ in kept],
        "crowd": [entry.crowd for entry, _ in kept],
        "difficult": [entry.difficult for entry, _ in kept],
        "masks": [encode_mask(entry, photograph.size) for entry, _ in kept],
        "size": photograph.size,
    }


def clip_box(box: Box, size: tuple[int, int]) -> Box | None:
    """Clip a box to an image of size (height, width); None if no area is left."""
    left = max(box[0], 0)
    top = max(box[1], 0)
    right = min(box[2], size[1])
    bottom = min(box[3], size[0])
    return (left, top, right, bottom) if left < right and top < bottom else None


def encode_mask(annotated: AnnotatedObject, size: tuple[int, int]) -> str | None:
    """Return the run-length encoded mask of an object, or None; polygons of fewer than three points are left out.

    Raises:
        Failure: the mask does not fit an image of this size (height, width).
    """
    outline = annotated.outline
    if isinstance(outline, Sequence):
        outline = [polygon for polygon in outline if len(polygon) >= 6]
    if not outline:
        return None

    try:
        if isinstance(outline, Mapping) and tuple(outline["size"]) != size:
            raise ValueError(f"its size is {outline['size']}")
        encoded = mask.segmToRle(outline, size[1], size[0])
        mask.decode(encoded)
    except (ValueError, RuntimeError) as error:
        raise Failure(f"{annotated.name}: not a mask of an image of {size[1]}×{size[0]} pixels: {error}") from error
    return encoded["counts"].decode()


def read(directory: Path) -> Dataset:
    """Read the splits; each sample carries its annotation."""
    content = json.loads((directory / OBJECTS).read_bytes())
    splits = {
        split: Photographs(directory / f"{split}.tar", annotations) for split, annotations in content["splits"].items()
    }
    return Dataset(content["classes"], splits)


class Photographs(Sequence[Sample]):
    """A split: the members of a tar with their annotations."""

    def __init__(self, packed: Path, annotations: Mapping[str, Any]):
        members = [(name, 0, offset, size) for name, offset, size in _archive.members(packed)]
        self.images = folder.Members(packed, members)
        self.annotations = [annotations[name] for name, *_ in members]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]
        return self.images[index]._replace(annotation=self.annotations[index])


def pieces(files: list[Path]) -> Iterator[bytes]:
    """Yield the contents of the files in order, in chunks."""
    for file in files:
        with file.open("rb") as stream:
            yield from iter(lambda: stream.read(CHUNK), b"")
