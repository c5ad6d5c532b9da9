"""The section `analyse`: what is looked at in a pretrained backbone."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from whole_in_parts.config.evaluations import Linear
from whole_in_parts.config.runs import Run
from whole_in_parts.config.section import Bounds, Count, Name, Section, Share, SomeShare, SomeShares


class Analysis(Section):
    """`headline` is the metric that stands for an analysis."""

    headline: ClassVar[str]

    def misfit(self, run: Run) -> str:
        """Why a run cannot be analysed so, or nothing."""
        return ""


class Windows(Section):
    """Patches of one size at every `stride` pixels."""

    size: Count
    stride: Count


class Bag(Analysis):
    """An image as a bag of patches: how many, at which scales, and the linear probe on their mean."""

    headline = "top1"
    name: Literal["bag"]
    patches: Annotated[list[Count], Field(min_length=1)]
    scale: SomeShares
    ratio: Bounds = (3 / 4, 4 / 3)
    windows: Windows | None = None
    train_subset: Count
    probe: Linear


class ReceptiveField(Analysis):
    """The effective receptive field, at every `stride` positions of the map."""

    headline = "side_32"
    name: Literal["receptive_field"]
    stride: Count = 2


class Similarity(Analysis):
    """The correlation of local and global similarity over so many pairs of images."""

    headline = "correlation"
    name: Literal["similarity"]
    pairs: Count


class Cost(Analysis):
    """Parameters, multiply-adds and T_min for the least crop scale of the views."""

    headline = "forward_macs"
    name: Literal["cost"]
    crop_scale: SomeShare


class Neighbours(Analysis):
    """The nearest of so many patches of each image, of some share of its area: `neighbours` of each patch, and `shown`
    queries in the picture.
    """

    headline = "same_class_embedding"
    name: Literal["neighbours"]
    patches: Count
    scale: SomeShares
    ratio: Bounds = (3 / 4, 4 / 3)
    neighbours: Count = 8
    shown: Count = 6


class HeatMap(Analysis):
    """The likeness of a window to all others, of `size` pixels at every `stride`; `place` is where the query lies, as
    shares of the height and of the width.
    """

    headline = "same_image_embedding"
    name: Literal["heat_map"]
    size: Count
    stride: Count
    place: tuple[Share, Share] = (0.5, 0.5)
    shown: Count = 4

    def misfit(self, run: Run) -> str:
        larger = self.size > run.image_size
        return f"size: a window of {self.size} is larger than the run's images, of {run.image_size}" if larger else ""


class Affinity(Analysis):
    """LoGo's affinity and the cosine, of so many pairs of local crops of each image and as many of two images."""

    headline = "auroc_affinity"
    name: Literal["affinity"]
    pairs: Count = 4

    def misfit(self, run: Run) -> str:
        if getattr(run.modifier, "local_to_local", False):
            return ""
        return (
            f"name: affinity needs a run with modifier logo and its local_to_local; modifier here: {run.modifier.name}"
        )


class Analyse(Section):
    """One analysis of one run, on a part of the test images of a dataset."""

    run: Name
    dataset: Name
    analysis: Annotated[
        Bag | ReceptiveField | Similarity | Cost | Neighbours | HeatMap | Affinity, Field(discriminator="name")
    ]
    subset: Count
