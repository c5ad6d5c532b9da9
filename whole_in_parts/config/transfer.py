"""The section `transfer`: what a pretrained backbone is asked to do with another dataset."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from whole_in_parts.config.evaluations import Linear
from whole_in_parts.config.section import Count, Name, NotNegative, Positive, Section, SomeShare


class Task(Section):
    """What the tasks have in common: `headline` is the metric that the report shows of one."""

    @property
    def headline(self) -> str:
        raise NotImplementedError


class LinearTask(Task):
    """Logistic regression on frozen features.

    `metric` is the accuracy that is usual on the dataset: Pets, Flowers, Caltech-101 and Aircraft have the mean of
    their classes', whose numbers of images differ. Where there are too many images for logistic regression, such as
    those of Places365, `probe` trains the layer by SGD.
    """

    name: Literal["linear"]
    metric: Literal["top1", "mean_per_class"] = "top1"
    probe: Linear | None = None

    @model_validator(mode="after")
    def probe_is_what_it_says(self):
        if self.probe and (self.probe.solver != "sgd" or self.probe.labels != [100]):
            raise ValueError("probe: here it is by SGD and by all labels; for logistic regression, leave it out")
        return self

    @property
    def headline(self) -> str:
        return self.metric


class LinearOnCropsTask(Task):
    """A linear layer on frozen features of random crops, drawn anew in each epoch; what is left out is CO-SSL's."""

    name: Literal["linear_on_crops"]
    epochs: Count = 100
    batch_size: Count = 256
    learning_rate: Positive = 0.1
    schedule: Literal["cosine", "steps"] = "steps"
    weight_decay: NotNegative = 0.0
    seed: int = 0

    @property
    def headline(self) -> str:
        return "top1"


class FinetuneTask(Task):
    """Training the backbone on with a linear layer: SGD at `learning_rate`, which goes to nothing on a cosine."""

    name: Literal["finetune"]
    epochs: Count
    batch_size: Annotated[int, Field(ge=2)]
    learning_rate: Positive
    seed: int = 0

    @property
    def headline(self) -> str:
        return "top1"


class CopyDetectionTask(Task):
    """Ranking a database by whether an image is a copy of another, on a dataset of source `copydays`.

    Images are resized to squares of `image_size` pixels, or of what the backbone was pretrained at. What is not among
    the `top` nearest counts as not found.
    """

    name: Literal["copy_detection"]
    image_size: Count | None = None
    top: Count = 20

    @property
    def headline(self) -> str:
        return "map"


class RetrievalTask(Task):
    """Ranking a gallery by whether it shows the building of a query, on a dataset of source `revisited`.

    Images are shrunk to have no side above `image_size` pixels, or above what the backbone was pretrained at, and are
    seen at each of the `scales`.
    """

    name: Literal["retrieval"]
    image_size: Count | None = None
    scales: Annotated[tuple[SomeShare, ...], Field(min_length=1)] = (1.0,)

    @property
    def headline(self) -> str:
        return "map_medium"


class DetectionTask(Task):
    """Finding objects by Faster R-CNN, and with `masks` their pixels by Mask R-CNN, on a dataset of source `coco` or
    `voc` (`whole_in_parts/evaluation/tasks/detection.py`). What is left out is as in MoCo's paper.

    SGD takes `steps`; its learning rate warms up over `warmup_steps` and is divided by ten at each of `drops`. An image
    is resized to have one of `short_sides`, drawn in training and `test_short_side` in the test, and no side above
    `long_side`. `anchors` are the sides of the boxes that proposals start from, in pixels of the resized image. Of each
    image the heads learn from `regions`. At the end the statistics of the batch norms are taken anew, from `batches`.
    Precision is averaged over 101 `recalls`, as for COCO, or over 11, as the papers do for VOC 2007.
    """

    name: Literal["detection"]
    masks: bool = False
    steps: Count
    batch_size: Count = 16
    learning_rate: Positive = 0.02
    weight_decay: NotNegative = 1e-4
    warmup_steps: Annotated[int, Field(ge=0)] = 100
    drops: tuple[Count, ...] = ()
    short_sides: Annotated[tuple[Count, ...], Field(min_length=1)] = tuple(range(480, 801, 32))
    test_short_side: Count = 800
    long_side: Count = 1333
    anchors: Annotated[tuple[Count, ...], Field(min_length=1)] = (32, 64, 128, 256, 512)
    regions: Count = 512
    batches: Count = 200
    recalls: Literal[11, 101] = 101
    seed: int = 0

    @model_validator(mode="after")
    def drops_are_steps(self):
        if list(self.drops) != sorted(set(self.drops)) or any(drop >= self.steps for drop in self.drops):
            raise ValueError(f"drops: {list(self.drops)}; allowed are rising numbers below steps, {self.steps}")
        return self

    @property
    def headline(self) -> str:
        return "ap"


class Transfer(Section):
    """One task of one run on one dataset."""

    run: Name
    dataset: Name
    task: Annotated[
        LinearTask | LinearOnCropsTask | FinetuneTask | CopyDetectionTask | RetrievalTask | DetectionTask,
        Field(discriminator="name"),
    ]
