"""The section `datasets`: the sources of images, and the expectations that a dataset must meet."""

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from whole_in_parts.config.class_lists import NAMES, read_class_list
from whole_in_parts.config.section import (
    LARGEST,
    Count,
    PositiveFraction,
    Section,
    SeveralOf,
    Sizes,
    WholeNumber,
    unique,
)
from whole_in_parts.config.source import SourceConfig
from whole_in_parts.config.transform import ImageTransform
from whole_in_parts.config.variants import union_of

if TYPE_CHECKING:
    AnySource = SourceConfig
else:
    AnySource = union_of("sources")


UNLABELLED = "unlabelled"
"""The split of images without labels, for pretraining; few datasets have one."""

ClassNames = Annotated[list[str], Field(min_length=2), AfterValidator(unique)]
ClassListName = Annotated[str, Field(json_schema_extra={"enum": [*NAMES]})]


class Expectations(Section):
    """The data contract: expectations that the shards of a dataset must meet before any stage reads them."""

    train: Count
    """Number of images in the train split."""
    test: Count
    """Number of images in the test split."""
    unlabelled: WholeNumber = 0
    """Number of images in the split `unlabelled`, which a source has only if its option of that name asks for it."""
    classes: SeveralOf
    """Number of classes, at least 2."""
    height: Sizes
    """Smallest and largest allowed height of an image, in pixels."""
    width: Sizes
    """Smallest and largest allowed width of an image, in pixels."""
    imbalance: Annotated[float, Field(ge=1, le=LARGEST)] = 1.0
    """Largest allowed ratio of the largest to the smallest class of a split, at least 1."""
    empty: WholeNumber = 0
    """Number of classes that may have no images in a split; fewer than `classes`. Retrieval sets have such classes
    (images that no query must find); detection sets use a single label, so that all classes but one are empty."""

    @model_validator(mode="after")
    def some_classes_have_images(self) -> Self:
        if self.empty >= self.classes:
            raise ValueError(f"empty: {self.empty} of {self.classes} classes may have no images; allowed are fewer")
        return self

    duplicates: WholeNumber = 0
    """Number of images that may be in both train and test, or unlabelled and test; these known flaws of a published set
    are reported."""


def _inside_project(folder: str) -> str:
    if PurePosixPath(folder).is_absolute() or ".." in PurePosixPath(folder).parts:
        raise ValueError("the path must begin at the project's root and stay inside it; a link there may lead outside")
    return folder


class Dataset(Section):
    """The source of a dataset, how it is packed into shards, and the expectations that it must meet."""

    source: AnySource
    """The source of the images and its options, chosen by `name`."""
    classes: (
        Annotated[ClassNames, BeforeValidator(read_class_list, json_schema_input_type=ClassNames | ClassListName)]
        | None
    ) = None
    """Names of the classes to pack, in the order of their labels, or the name of a published list, such as
    `imagenet100`; all classes of the source if left out."""
    fraction: PositiveFraction = 1.0
    """Fraction of the train images of each class to pack, above 0; the choice is always the same."""
    samples_per_shard: Count
    """Number of images in each shard."""
    expect: Expectations | None = None
    """The expectations that the packed dataset must meet. A build stops at the contract of a dataset without them, and
    `python -m stages.contract NAME --propose` prints what the images are."""
    corrupted: Annotated[str, AfterValidator(_inside_project)] | None = None
    """Folder of released corrupted test images, relative to the project's root, to read instead of generating them:
    `<corruption>/<severity>/<class>/<image>` as ImageNet-C, or `<corruption>.npy` and `labels.npy` as CIFAR-10-C.
    DVC does not track the folder: after a change of its images, rename it or run the stage with `--force`."""
    test_transform: ImageTransform = Field(default_factory=ImageTransform)
    """How an image becomes the input of a network in evaluation: in probes, kNN, corruptions, attacks and transfer."""
