"""A folder of images and tars of it, made here: 3 images of each of 2 classes and 2 splits."""

import hashlib
import os
import re
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from whole_in_parts.config.sources.folder import FolderConfig
from whole_in_parts.data.source import Dataset, png
from whole_in_parts.data.sources import folder
from whole_in_parts.failure import Failure

NAMES = [f"{split}/{kind}/{number}.png" for split in ("train", "val") for kind in ("cat", "dog") for number in range(3)]


def fill(place: Path, names: list[str]) -> Path:
    """Write an image of its own to each name."""
    for number, name in enumerate(names):
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(Image.fromarray(np.full((4, 4, 3), number, np.uint8))))
    return place


def tar(place: Path, name: str, mode: str, inside: str = ".") -> Path:
    with tarfile.open(place.parent / name, mode) as archive:
        archive.add(place, inside)
    return place.parent / name


@pytest.fixture
def images(tmp_path) -> Path:
    return fill(tmp_path / "images", NAMES)


@pytest.fixture
def fetched(tmp_path):
    """A function that fetches a path and reads what came."""

    def fetch(path: Path, sha256: str | None = None, **changes) -> Dataset:
        options = FolderConfig(name="folder", path=path, sha256=sha256, **changes)
        directory = tmp_path / f"fetched {path.name}"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        folder.fetch(options, directory)
        return folder.read(options, directory)

    return fetch


def content(dataset: Dataset) -> dict[str, list[tuple[str, str, bytes]]]:
    return {
        split: [(sample.key, dataset.classes[sample.label], sample.image) for sample in samples]
        for split, samples in dataset.splits.items()
    }


def test_a_folder_gives_its_files_with_the_class_and_split_that_their_paths_name(images, fetched):
    expected = {
        split: [(name[:-4], name.split("/")[1], (images / name).read_bytes()) for name in NAMES if name[:3] == start]
        for split, start in (("train", "tra"), ("test", "val"))
    }
    assert content(fetched(images)) == expected


@pytest.mark.parametrize(
    ("name", "mode", "inside"),
    [("a.tar", "w", "."), ("a.tar.gz", "w:gz", "."), ("a.tgz", "w:gz", "images"), ("a.tar.xz", "w:xz", "images")],
)
def test_a_tar_gives_what_its_folder_gives(images, fetched, name, mode, inside):
    given, expected = content(fetched(tar(images, name, mode, inside))), content(fetched(images))
    assert {split: [row[1:] for row in rows] for split, rows in given.items()} == {
        split: [row[1:] for row in rows] for split, rows in expected.items()
    }


def test_jpeg_and_png_are_images_whatever_the_case_of_their_names_and_other_files_are_left_out(tmp_path, fetched):
    names = [
        f"cat/{number}{ending}" for number, ending in enumerate([".jpg", ".jpeg", ".JPG", ".JPEG", ".png", ".PNG"])
    ]
    place = fill(tmp_path / "images", [*names, "README.md", "cat/notes.txt"])
    samples = [sample for split in fetched(place).splits.values() for sample in split]
    kinds = {sample.key: sample.extension for sample in samples}
    assert kinds == {f"cat/{number}": "png" if number > 3 else "jpg" for number in range(6)}


def test_without_splits_a_fifth_of_each_class_is_held_out_and_always_the_same(tmp_path, fetched):
    names = [f"{kind}/{number}.png" for kind, count in (("cat", 10), ("dog", 20)) for number in range(count)]
    place = fill(tmp_path / "images", names)
    first, second = content(fetched(place)), content(fetched(place))
    assert first == second
    assert [kind for _, kind, _ in first["test"]] == ["cat"] * 2 + ["dog"] * 4
    assert sorted(key for rows in first.values() for key, *_ in rows) == sorted(name[:-4] for name in names)


def test_the_same_images_give_the_same_packed_bytes_whenever_and_in_whatever_order_they_lie(
    images, tmp_path, monkeypatch
):
    folder.pack(images, tmp_path / "first.tar")
    for file in images.rglob("*.png"):
        os.utime(file, (0, 0))
        file.chmod(0o600)
    genuine = os.walk
    monkeypatch.setattr(os, "walk", lambda place, **options: reversed([*genuine(place, **options)]))
    folder.pack(images, tmp_path / "second.tar")
    assert (tmp_path / "first.tar").read_bytes() == (tmp_path / "second.tar").read_bytes()


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "tar"])
def test_the_sha256_that_fetch_prints_pins_the_images(images, fetched, capsys, packed):
    path = tar(images, "a.tar.gz", "w:gz") if packed else images
    fetched(path)
    (printed,) = re.findall(f"sha256 of {path}: ([0-9a-f]{{64}})", capsys.readouterr().out)
    fetched(path, printed)
    with pytest.raises(Failure, match=rf"{path}: its sha256 is {printed}, and params\.yaml expects 0000"):
        fetched(path, "0" * 64)
    if packed:
        assert printed == hashlib.sha256(path.read_bytes()).hexdigest()
    else:
        fill(images, NAMES[::-1])
        with pytest.raises(Failure, match=printed):
            fetched(path, printed)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([*NAMES, "stray.png"], "stray.png lies in no folder that names its class"),
        ([*NAMES, "extra/cat/9.png"], "extra/cat/9.png: the folder above the class names no split .train, test, val"),
        ([*NAMES, "cat/9.png"], "cat/9.png: the folder above the class names no split"),
        (["notes.txt"], "no image .*is in it"),
        (NAMES[:6], "no image is of split test"),
        (NAMES[6:], "no image is of split train"),
        (["cat/0.png", "cat/1.png"], "no image is of split test"),
    ],
)
def test_a_layout_that_says_no_class_or_split_is_refused_by_name(tmp_path, fetched, names, message):
    with pytest.raises(Failure, match=message):
        fetched(fill(tmp_path / "images", names))


@pytest.mark.parametrize("name", ["absent", "notes.txt"])
def test_what_is_neither_a_folder_nor_a_tar_is_refused_by_name(tmp_path, fetched, name):
    (tmp_path / "notes.txt").write_text("no tar")
    with pytest.raises(Failure, match=f"source.path: {tmp_path / name} is neither a folder nor a tar of images"):
        fetched(tmp_path / name)


@pytest.mark.parametrize("twin", ["train/cat/0.jpg", "train/cat/0.PNG"])
def test_two_images_that_would_share_a_key_are_refused_by_name(images, fetched, twin):
    with pytest.raises(Failure, match="2 images are called train/cat/0"):
        fetched(fill(images, [twin]))


def test_class_folders_may_be_symbolic_links(tmp_path, fetched):
    elsewhere = fill(tmp_path / "elsewhere", ["cat/0.png", "dog/0.png"])
    place = fill(tmp_path / "images", [f"{split}/ant/0.png" for split in ("train", "val")])
    for split in ("train", "val"):
        for kind in ("cat", "dog"):
            (place / split / kind).symlink_to(elsewhere / kind)
    found = content(fetched(place))
    assert [(key, kind) for key, kind, _ in found["train"]] == [
        (f"train/{kind}/0", kind) for kind in ("ant", "cat", "dog")
    ]


def tiny_imagenet(place: Path) -> Path:
    """Tiny-ImageNet-200 as it is released, but for two classes of two images."""
    names = [f"train/{wnid}/images/{wnid}_{number}.png" for wnid in ("n01", "n02") for number in range(2)]
    names += [f"val/images/val_{number}.png" for number in range(3)] + ["test/images/test_0.png"]
    fill(place, names)
    rows = [f"val_{number}.png\t{wnid}\t0\t32\t44\t62" for number, wnid in enumerate(["n02", "n01", "n02"])]
    (place / "val/val_annotations.txt").write_text("\n".join(rows) + "\n")
    (place / "wnids.txt").write_text("n01\nn02\n")
    return place


def test_tiny_imagenet_is_read_as_it_is_released(tmp_path, fetched):
    place = tiny_imagenet(tmp_path / "tiny-imagenet-200")
    found = content(fetched(place, val_labels=Path("val/val_annotations.txt"), test="val"))
    assert [(key, kind) for key, kind, _ in found["train"]] == [
        (f"train/{kind}/{kind}_{number}", kind) for kind in ("n01", "n02") for number in range(2)
    ]
    assert sorted((kind, image) for _, kind, image in found["test"]) == sorted(
        (kind, (place / f"val/images/val_{number}.png").read_bytes())
        for number, kind in enumerate(["n02", "n01", "n02"])
    )


def ilsvrc(place: Path) -> Path:
    """ILSVRC 2012 with a flat `val` and its table, but for two classes of one image."""
    fill(place, ["train/n01/n01_7.png", "train/n02/n02_7.png", "val/ILSVRC2012_val_1.png", "val/ILSVRC2012_val_2.png"])
    table = [
        "ImageId,PredictionString",
        "ILSVRC2012_val_1,n02 85 1 499 272",
        "ILSVRC2012_val_2,n01 1 2 3 4 n01 5 6 7 8",
    ]
    (place / "LOC_val_solution.csv").write_text("\n".join(table) + "\n")
    return place


def test_ilsvrc_with_a_flat_val_takes_the_classes_from_its_table(tmp_path, fetched):
    found = content(fetched(ilsvrc(tmp_path / "ilsvrc"), val_labels=Path("LOC_val_solution.csv")))
    assert [(key, kind) for key, kind, _ in found["test"]] == [
        ("val/n01/ILSVRC2012_val_2", "n01"),
        ("val/n02/ILSVRC2012_val_1", "n02"),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda place: (place / "LOC_val_solution.csv").unlink(), r"LOC_val_solution\.csv cannot be read"),
        (lambda place: (place / "LOC_val_solution.csv").write_text("one\n"), "line 1 has no image and class: 'one'"),
        (
            lambda place: (place / "LOC_val_solution.csv").write_text("ILSVRC2012_val_1,n02\n"),
            "1 images of val have no class, such as ILSVRC2012_val_2",
        ),
        (
            lambda place: (place / "val/ILSVRC2012_val_1.png").unlink(),
            "1 images that have a class are not in val, such as ILSVRC2012_val_1",
        ),
    ],
)
def test_a_table_that_does_not_fit_the_images_is_refused(tmp_path, fetched, change, message):
    place = ilsvrc(tmp_path / "ilsvrc")
    change(place)
    with pytest.raises(Failure, match=rf"source\.val_labels: .*{message}"):
        fetched(place, val_labels=Path("LOC_val_solution.csv"))


BOTH = [f"{split}/{kind}/0.png" for split in ("train", "val", "test") for kind in ("cat", "dog")]


def test_val_and_test_are_never_merged_without_a_word(tmp_path, fetched):
    with pytest.raises(
        Failure, match=r"source\.test: .* has both val and test; say which is the test split: test or val"
    ):
        fetched(fill(tmp_path / "images", BOTH))


@pytest.mark.parametrize("test", ["test", "val"])
def test_of_val_and_test_the_one_that_is_named_is_the_test_split(tmp_path, fetched, test):
    found = content(fetched(fill(tmp_path / "images", BOTH), test=test))
    assert [key for key, *_ in found["test"]] == [f"{test}/cat/0", f"{test}/dog/0"]
    assert [key for key, *_ in found["train"]] == ["train/cat/0", "train/dog/0"]


def test_a_class_may_be_called_images(tmp_path, fetched):
    names = [f"{split}/{kind}/0.png" for split in ("train", "val") for kind in ("images", "others")]
    assert fetched(fill(tmp_path / "images", names)).classes == ["images", "others"]


def test_the_order_of_the_packed_images_is_that_of_their_folders(tmp_path):
    """A hyphen sorts before the slash: by whole names the folder `a-b` would come before `a`."""
    folder.pack(fill(tmp_path / "images", ["train/a/0.png", "train/a-b/0.png"]), tmp_path / "packed.tar")
    with tarfile.open(tmp_path / "packed.tar") as packed:
        assert packed.getnames() == ["train/a/0.png", "train/a-b/0.png"]


def test_labels_of_a_tar_are_refused(images, fetched):
    with pytest.raises(Failure, match=r"source\.val_labels: takes a folder, and .*a\.tar is none; unpack it"):
        fetched(tar(images, "a.tar", "w"), val_labels=Path("labels.csv"))


def test_images_that_are_left_where_they_lie_are_those_that_would_be_copied(images, fetched, tmp_path):
    copied = content(fetched(images))
    kept = sum(file.stat().st_size for file in (tmp_path / "fetched images").iterdir())
    assert content(fetched(images, leave=True)) == copied
    (listed,) = (tmp_path / "fetched images").iterdir()
    assert listed.name == "images.jsonl"
    assert listed.stat().st_size < kept / 5


def test_the_sha256_of_images_that_are_left_is_that_of_their_list(images, fetched, capsys):
    fetched(images, leave=True)
    sha256 = capsys.readouterr().out.split()[-1]
    fetched(images, sha256, leave=True)
    (images / NAMES[0]).write_bytes((images / NAMES[1]).read_bytes())
    with pytest.raises(Failure, match=f"params.yaml expects {sha256}"):
        fetched(images, sha256, leave=True)


@pytest.mark.parametrize(
    ("damage", "said"),
    [(lambda file: file.write_bytes(b"other"), "changed since"), (Path.unlink, "cannot be read now")],
)
def test_an_image_that_is_left_and_has_changed_or_gone_is_named_when_it_is_read(images, fetched, damage, said):
    dataset = fetched(images, leave=True)
    damage(images / "train/cat/1.png")
    with pytest.raises(Failure, match=rf"train/cat/1\.png: .*{said}"):
        content(dataset)


def test_a_tar_cannot_be_left(images, fetched, tmp_path):
    with pytest.raises(Failure, match=r"source\.leave: .* is no folder; leave it out"):
        fetched(tar(images, "images.tar", "w"), leave=True)
