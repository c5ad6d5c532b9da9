"""Options of the task `detection` (`evaluation/tasks/detection.py`)."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from whole_in_parts.config.section import Count, NotNegative, Positive, Seed, WholeNumber
from whole_in_parts.config.task import TaskConfig


class DetectionConfig(TaskConfig):
    """Object detection by Faster R-CNN, or Mask R-CNN with `masks`; needs a dataset of source `coco` or `voc`.

    The defaults are those of MoCo's paper.
    """

    name: Literal["detection"]
    """Selects object detection."""
    masks: bool = False
    """Predict masks too, by Mask R-CNN."""
    steps: Count
    """Steps of SGD."""
    batch_size: Count = 16
    """Images in a batch of SGD."""
    learning_rate: Positive = 0.02
    """Peak learning rate of SGD."""
    weight_decay: NotNegative = 1e-4
    """Weight decay of SGD."""
    warmup_steps: WholeNumber = 100
    """Steps over which the learning rate rises."""
    drops: tuple[Count, ...] = ()
    """Steps at which the learning rate is divided by 10, in rising order and below `steps`."""
    short_sides: Annotated[tuple[Count, ...], Field(min_length=1)] = tuple(range(480, 801, 32))
    """Lengths of the shorter side in training, in pixels; one is drawn for each image."""
    test_short_side: Count = 800
    """Length of the shorter side in the test, in pixels."""
    long_side: Count = 1333
    """Largest length of the longer side, in pixels."""
    anchors: Annotated[tuple[Count, ...], Field(min_length=1)] = (32, 64, 128, 256, 512)
    """Sides of the anchor boxes, in pixels of the resized image."""
    regions: Count = 512
    """Region proposals of each image that train the heads."""
    batches: Count = 200
    """Batches after training from which the batch-norm statistics are computed anew."""
    recalls: Literal[11, 101] = 101
    """Recall levels over which precision is averaged: 101 as for COCO, or 11 as papers do for VOC 2007."""
    seed: Seed = 0
    """Random seed of the training."""

    @model_validator(mode="after")
    def drops_rise_below_steps(self) -> Self:
        if list(self.drops) != sorted(set(self.drops)) or any(drop >= self.steps for drop in self.drops):
            raise ValueError(f"drops: {list(self.drops)}; allowed are rising numbers below steps ({self.steps})")
        return self

    @property
    def headline(self) -> str:
        return "ap"
