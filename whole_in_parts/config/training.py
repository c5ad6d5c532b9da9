"""A run's `optimizer`, and its `online` evaluation."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from whole_in_parts.config.section import Count, NotNegative, Positive, Section


class Optimizer(Section):
    """What all optimizers have in common; learning rates are for a batch of 256 and scale with the batch.

    The learning rate rises over `warmup_epochs` and then falls to `learning_rate_end` on a half cosine; the weight
    decay goes to `weight_decay_end` on one, if that is given. `clip_norm` is the longest that the gradient of any one
    parameter tensor may be.
    """

    learning_rate: Positive
    learning_rate_end: NotNegative = 0.0
    weight_decay: NotNegative
    weight_decay_end: NotNegative | None = None
    warmup_epochs: NotNegative
    clip_norm: Positive | None = None


class SGD(Optimizer):
    """Stochastic gradient descent with momentum."""

    name: Literal["sgd"]


class AdamW(Optimizer):
    """Adam with decoupled weight decay."""

    name: Literal["adamw"]


class LARS(Optimizer):
    """SGD with a rate for each matrix: `trust` is η, and `clip_trust` lets no rate be above the run's.

    The defaults are solo-learn's for small images and ImageNet-100; for ImageNet it has 0.001 and no clipping.
    """

    name: Literal["lars"]
    trust: Positive = 0.02
    clip_trust: bool = True


OptimizerOptions = Annotated[SGD | AdamW | LARS, Field(discriminator="name")]


class Online(Section):
    """What is measured beside a training, and changes nothing of it.

    A linear probe learns at `learning_rate` (for a batch of 256, on the run's schedule). Every `every` epochs and at
    the end it is asked about `samples` test images, for which as many training images vote, `neighbours` of them each.
    """

    learning_rate: Positive = 0.1
    every: Count = 1
    samples: Count = 1000
    neighbours: Count = 20

    @model_validator(mode="after")
    def neighbours_are_there(self) -> Self:
        if self.neighbours > self.samples:
            raise ValueError(f"neighbours: {self.neighbours} are asked of {self.samples} samples")
        return self
