"""Photographs of a world of discs, squares and triangles, each kind with its colour, written in COCO's format."""

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from stages.shard import pack
from whole_in_parts.config.sources.coco import CocoConfig
from whole_in_parts.data.sources import coco as source

CLASSES = ["disc", "square", "triangle"]
COLOURS = [(210, 60, 60), (60, 190, 80), (70, 90, 220)]
SIDE = 96
ANGLES = np.linspace(0, 2 * np.pi, 24, endpoint=False)
CORNERS = [
    np.stack([np.cos(ANGLES), np.sin(ANGLES)], 1) / 2 + 0.5,
    np.array([(0, 0), (1, 0), (1, 1), (0, 1)]),
    np.array([(0.5, 0), (1, 1), (0, 1)]),
]
"""The corners of each kind in a box from 0 to 1."""


def world(number: int) -> tuple[Image.Image, list[tuple[int, np.ndarray]]]:
    """A picture, and the kind and the corners (corners, 2) of each shape in it, in pixels."""
    draw = np.random.default_rng(number)
    image = Image.fromarray(draw.integers(90, 150, (SIDE, SIDE, 3), np.uint8))
    shapes = []
    for left, top in draw.permutation([(4, 4), (50, 4), (4, 50), (50, 50)])[: draw.integers(1, 4)]:
        kind, side = int(draw.integers(3)), draw.integers(22, 38)
        corners = CORNERS[kind] * side + (left, top) + draw.integers(0, 42 - side, 2)
        colour = tuple(int(value) for value in COLOURS[kind] + draw.integers(-30, 30, 3))
        ImageDraw.Draw(image).polygon([tuple(corner) for corner in corners.tolist()], fill=colour)
        shapes.append((kind, corners))
    return image, shapes


def instances(worlds: dict[str, tuple], masks: bool = True) -> dict:
    """What is marked in pictures, in COCO's format."""
    images = [
        {"id": number, "file_name": name, "height": image.height, "width": image.width}
        for number, (name, (image, _)) in enumerate(worlds.items(), 1)
    ]
    annotations = [
        {"image_id": number, "category_id": kind + 1, "iscrowd": 0, "bbox": around(corners)}
        | ({"segmentation": [corners.reshape(-1).tolist()]} if masks else {})
        for number, (_, shapes) in enumerate(worlds.values(), 1)
        for kind, corners in shapes
    ]
    return {
        "images": images,
        "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)],
        "annotations": [each | {"id": number} for number, each in enumerate(annotations, 1)],
    }


def around(corners: np.ndarray) -> list[float]:
    """The box of corners: left, top, width and height."""
    return [*corners.min(0).tolist(), *np.ptp(corners, axis=0).tolist()]


def coco(folder: Path, train: int, test: int, masks: bool = True) -> Path:
    """A folder as COCO 2017 has it, of so many pictures."""
    (folder / "annotations").mkdir(parents=True)
    for split, indices in (("train2017", range(train)), ("val2017", range(10_000, 10_000 + test))):
        worlds = {f"{number:012d}.png": world(number) for number in indices}
        (folder / split).mkdir()
        for name, (image, _) in worlds.items():
            image.save(folder / split / name)
        (folder / f"annotations/instances_{split}.json").write_text(json.dumps(instances(worlds, masks)))
    return folder


VOC_CLASSES = ["bottle", "car", "cat"]
"""What the kinds are called in a set of VOC's format."""


def packed(folder: Path, images: int) -> Path:
    """Pack so many images for training from COCO's format; return the folder of shards."""
    chosen = CocoConfig(name="coco", path=coco(folder / "coco", images, 1))
    source.fetch(chosen, folder)
    (folder / "train").mkdir()
    content = source.read(chosen, folder)
    pack(content.splits["train"], content.classes, folder / "train", 8, "train")
    return folder / "train"


def voc(folder: Path, sets: dict[str, range]) -> Path:
    """A folder VOCdevkit with these pictures in each `<year>/<set>`; VOC counts pixels from 1, the last one too."""
    for place, indices in sets.items():
        year, name = place.split("/")
        for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
            (folder / year / part).mkdir(parents=True, exist_ok=True)
        for number in indices:
            image, shapes = world(number)
            image.save(folder / year / f"JPEGImages/{number:06d}.jpg")
            (folder / year / f"Annotations/{number:06d}.xml").write_text(described(shapes))
        (folder / year / f"ImageSets/Main/{name}.txt").write_text("".join(f"{number:06d}\n" for number in indices))
    return folder


def described(shapes: list[tuple[int, np.ndarray]], difficult: int = 0) -> str:
    objects = [
        f"<object><name>{VOC_CLASSES[kind]}</name><difficult>{difficult}</difficult><bndbox><xmin>{left + 1:.0f}</xmin>"
        f"<ymin>{top + 1:.0f}</ymin><xmax>{left + width:.0f}</xmax><ymax>{top + height:.0f}</ymax></bndbox>"
        "<part><name>head</name></part></object>"
        for kind, (left, top, width, height) in ((kind, around(corners)) for kind, corners in shapes)
    ]
    size = f"<size><width>{SIDE}</width><height>{SIDE}</height><depth>3</depth></size>"
    return f"<annotation>{size}{''.join(objects)}</annotation>"
