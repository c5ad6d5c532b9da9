"""What `coco` and `voc` share: photographs in which objects are marked, each by a box and perhaps by a mask.

All that is marked in a photograph is the annotation of its sample, lists of one entry an object:

- `boxes`: left, top, right and bottom edge in pixels, cut to the photograph;
- `labels`: numbers of classes;
- `crowd`: whether it is a region of many, which nothing is trained on, and in which detections do not count;
- `difficult`: whether it may be found or not: it is trained on, and detections of it do not count;
- `masks`: its pixels, run-length encoded as COCO does (column by column, compressed), or nothing;

and `size`, the height and width of the photograph. An object whose box has no area in its photograph is left out. The
label of a sample says nothing: it is always 0, and all other classes are without samples.
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
from whole_in_parts.data.sources import folder
from whole_in_parts.failure import Failure
from whole_in_parts.progress import progress

MARKED = "objects.json"
CHUNK = 1 << 20

Box = tuple[float, float, float, float]
Outline = Sequence[Sequence[float]] | Mapping[str, Any] | None
"""Polygons (x, y, x, y, …), runs of pixels as COCO has them, or nothing."""


class Marked(NamedTuple):
    """One object, called by `name` in messages; its box may go beyond the photograph."""

    name: str
    box: Box
    label: int
    crowd: bool = False
    difficult: bool = False
    outline: Outline = None


class Photograph(NamedTuple):
    """An image file, its name within the split, its height and width as they are published, and its objects."""

    file: Path
    name: str
    size: tuple[int, int]
    objects: list[Marked]


def store(
    source: Path, sha256: str | None, classes: list[str], splits: Mapping[str, list[Photograph]], directory: Path
) -> None:
    """Pack the images of each split, and write beside them what is marked.

    Raises:
        Failure: an image is missing or of another size than published, a split has no object, or a mask is broken.
    """
    for photographs in splits.values():
        ask_for_files(photographs)
    found = {split: pack(photographs, directory / f"{split}.tar", split) for split, photographs in splits.items()}
    content = {"classes": classes, "splits": found}
    (directory / MARKED).write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
    files = [directory / MARKED, *(directory / f"{split}.tar" for split in splits)]
    print(f"sha256 of {source}: {check(str(source), pieces(files), sha256)}", flush=True)


def ask_for_files(photographs: list[Photograph]) -> None:
    """
    Raises:
        Failure: a file is missing or no image by its ending, or two samples would have one key.
    """
    if absent := [each.file for each in photographs if not each.file.is_file()]:
        raise Failure(f"{absent[0]}: no such file; {len(absent)} of {len(photographs)} images are missing")
    if other := [each.file for each in photographs if each.file.suffix.lower() not in folder.EXTENSIONS]:
        raise Failure(f"{other[0]}: not one of {', '.join(folder.EXTENSIONS)}")
    times = Counter(folder.key(each.name) for each in photographs)
    if twins := [each for each in photographs if times[folder.key(each.name)] > 1]:
        raise Failure(
            f"{twins[0].file}: {times[folder.key(twins[0].name)]} images are called so, but for their endings"
        )


def pack(photographs: list[Photograph], packed: Path, split: str) -> dict[str, dict]:
    """Write a split's images to a tar whose bytes depend on names and contents alone; give their annotations."""
    annotations, empty = {}, list[str]()
    with tarfile.open(packed, "w") as tar:
        for photograph in progress(photographs, f"pack {split}", unit="image"):
            content = photograph.file.read_bytes()
            ask_for_size(photograph, content)
            annotations[photograph.name] = annotate(photograph, empty)
            member = tarfile.TarInfo(photograph.name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    if empty:
        print(f"{split}: {len(empty)} objects without area in their image are left out, such as {empty[0]}", flush=True)
    if not any(annotation["boxes"] for annotation in annotations.values()):
        raise Failure(f"{split}: no object is in any of {len(photographs)} images")
    return annotations


def ask_for_size(photograph: Photograph, content: bytes) -> None:
    """
    Raises:
        Failure: it is no image, or of another size than its boxes are for.
    """
    try:
        width, height = Image.open(io.BytesIO(content)).size
    except (OSError, ValueError) as error:
        raise Failure(f"{photograph.file}: not an image that can be read ({error})") from error
    if (height, width) != photograph.size:
        raise Failure(
            f"{photograph.file}: {width}×{height} pixels, where the annotations say "
            f"{photograph.size[1]}×{photograph.size[0]}"
        )


def annotate(photograph: Photograph, empty: list[str]) -> dict[str, Any]:
    """What is marked in a photograph; the names of objects without area in it are added to `empty`."""
    kept = [(each, cut(each.box, photograph.size)) for each in photograph.objects]
    empty += [each.name for each, box in kept if box is None]
    kept = [(each, box) for each, box in kept if box is not None]
    return {
        "boxes": [box for _, box in kept],
        "labels": [each.label for each, _ in kept],
        "crowd": [each.crowd for each, _ in kept],
        "difficult": [each.difficult for each, _ in kept],
        "masks": [runs(each, photograph.size) for each, _ in kept],
        "size": photograph.size,
    }


def cut(box: Box, size: tuple[int, int]) -> Box | None:
    """The part of a box that is in an image, or nothing."""
    left, top, right, bottom = max(box[0], 0), max(box[1], 0), min(box[2], size[1]), min(box[3], size[0])
    return (left, top, right, bottom) if left < right and top < bottom else None


def runs(marked: Marked, size: tuple[int, int]) -> str | None:
    """The mask of an object, run-length encoded; polygons of less than three points are left out.

    Raises:
        Failure: its runs are not those of an image of this size.
    """
    outline = marked.outline
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
        raise Failure(f"{marked.name}: not a mask of an image of {size[1]}×{size[0]} pixels: {error}") from error
    return encoded["counts"].decode()


def read(directory: Path) -> Dataset:
    """The splits, each sample with what is marked in it."""
    content = json.loads((directory / MARKED).read_bytes())
    splits = {split: Photographs(directory / f"{split}.tar", found) for split, found in content["splits"].items()}
    return Dataset(content["classes"], splits)


class Photographs(Sequence[Sample]):
    """A split: members of a tar, each with its annotation."""

    def __init__(self, packed: Path, annotations: Mapping[str, Any]):
        with tarfile.open(packed) as tar:
            members = [(member.name, 0, member.offset_data, member.size) for member in tar]
        self.images, self.annotations = folder.Members(packed, members), [annotations[name] for name, *_ in members]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> Sample:  # type: ignore[override]
        return self.images[number]._replace(annotation=self.annotations[number])


def pieces(files: list[Path]) -> Iterator[bytes]:
    """The content of files, one after the other."""
    for file in files:
        with file.open("rb") as stream:
            yield from iter(lambda: stream.read(CHUNK), b"")
