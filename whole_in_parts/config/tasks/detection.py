"""Options of the task `detection` (`evaluation/tasks/detection.py`)."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from whole_in_parts.config.section import Count, NotNegative, Positive
from whole_in_parts.config.task import TaskConfig


class DetectionConfig(TaskConfig):
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
    def drops_are_steps(self) -> Self:
        if list(self.drops) != sorted(set(self.drops)) or any(drop >= self.steps for drop in self.drops):
            raise ValueError(f"drops: {list(self.drops)}; allowed are rising numbers below steps, {self.steps}")
        return self

    @property
    def headline(self) -> str:
        return "ap"
