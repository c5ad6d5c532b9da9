"""The section `datasets`: where images come from, and what they have to hold."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from whole_in_parts.config.section import Count, Name, Section, Sha256, Sizes


class FashionMNIST(Section):
    """Fashion-MNIST, from the Debian package where apt is there, else through torchvision."""

    name: Literal["fashion_mnist"]
    sha256: Sha256


class Digits(Section):
    """The handwritten digits that scikit-learn ships."""

    name: Literal["digits"]
    sha256: Sha256


class Resize(Section):
    """Make images smaller whose shorter side has more than `short_side` pixels, as JPEGs of a quality."""

    short_side: Count
    quality: Annotated[int, Field(ge=1, le=95)] = 90


class Folder(Section):
    """A folder `<split>/<class>/<image>`, or a tar of one, compressed or not.

    `sha256`, which `fetch` prints, pins the images; change it when they change. `resize` is for the shards: what is
    fetched stays as it came.
    """

    name: Literal["folder"]
    path: Path
    sha256: Sha256 | None = None
    resize: Resize | None = None


class TorchvisionDataset(Section):
    """A class of `torchvision.datasets` that can download itself, by its name, such as CIFAR10 or STL10.

    `path` is the folder that torchvision is to find one in that you have downloaded yourself; `resize` as for `folder`.
    """

    name: Literal["torchvision"]
    dataset: Name
    path: Path | None = None
    resize: Resize | None = None


class Copydays(Section):
    """A folder of photographs, `original/`, and of copies, `strong/`, or a tar of one; `sha256` as for `folder`."""

    name: Literal["copydays"]
    path: Path
    sha256: Sha256 | None = None


class Revisited(Section):
    """A folder of photographs, `jpg/`, with what each query is to find, `gnd_*.pkl`; `sha256` as for `folder`."""

    name: Literal["revisited"]
    path: Path
    sha256: Sha256 | None = None


class Coco(Section):
    """A folder of photographs with objects marked in COCO's format; the parts of it are as COCO 2017 has them.

    `sha256` as for `folder`.
    """

    name: Literal["coco"]
    path: Path
    train_images: Path = Path("train2017")
    train_annotations: Path = Path("annotations/instances_train2017.json")
    test_images: Path = Path("val2017")
    test_annotations: Path = Path("annotations/instances_val2017.json")
    sha256: Sha256 | None = None


VocSet = Annotated[str, Field(pattern=r"^\w+/\w+$")]


class Voc(Section):
    """A folder VOCdevkit, and which `<year>/<set>` of it are the splits; `sha256` as for `folder`."""

    name: Literal["voc"]
    path: Path
    train: Annotated[tuple[VocSet, ...], Field(min_length=1)] = ("VOC2007/trainval", "VOC2012/trainval")
    test: Annotated[tuple[VocSet, ...], Field(min_length=1)] = ("VOC2007/test",)
    sha256: Sha256 | None = None


class Expectations(Section):
    """What a dataset must hold for anything to read it."""

    train: Count
    test: Count
    classes: Annotated[int, Field(ge=2)]
    height: Sizes
    width: Sizes
    imbalance: Annotated[float, Field(ge=1)] = 1.0
    """Largest class of a split over its smallest, at most."""
    empty: Annotated[int, Field(ge=0)] = 0
    """Classes that may have no images in a split: those that are nobody's to find, in a set for retrieval, and all
    but one in a set for detection, where labels say nothing."""

    @model_validator(mode="after")
    def some_classes_have_images(self):
        if self.empty >= self.classes:
            raise ValueError(f"empty: {self.empty} of {self.classes} classes may have no images; allowed are fewer")
        return self

    duplicates: Annotated[int, Field(ge=0)] = 0
    """Images that may be in both train and test: known flaws of a published set, counted and shown."""


class Dataset(Section):
    """A source of images, how it is packed, and what it has to hold."""

    source: Annotated[
        FashionMNIST | Digits | Folder | TorchvisionDataset | Copydays | Revisited | Coco | Voc,
        Field(discriminator="name"),
    ]
    samples_per_shard: Count
    expect: Expectations
