"""The options `optimizer` and `online` of a run."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from whole_in_parts.config.section import Count, NotNegative, Positive, Section


class Optimizer(Section):
    """The schedule and regularisation of all optimizers; learning rates are for a batch of 256 and scale linearly.

    The learning rate rises linearly over the warm-up and then falls on a half cosine.
    """

    learning_rate: Positive
    """Peak learning rate, for a batch of 256; it is scaled by batch size / 256."""
    learning_rate_end: NotNegative = 0.0
    """Learning rate at the end of the half cosine, for a batch of 256."""
    weight_decay: NotNegative
    """Weight decay, or its initial value if `weight_decay_end` is set."""
    weight_decay_end: NotNegative | None = None
    """Weight decay at the last step, reached on a half cosine; constant if left out."""
    warmup_epochs: NotNegative
    """Epochs over which the learning rate rises; not more than the run's `epochs`."""
    clip_norm: Positive | None = None
    """Largest norm of the gradient of any single parameter tensor; no clipping if left out."""


class SGD(Optimizer):
    """Stochastic gradient descent with momentum."""

    name: Literal["sgd"]
    """Selects SGD."""


class AdamW(Optimizer):
    """Adam with decoupled weight decay."""

    name: Literal["adamw"]
    """Selects AdamW."""


class LARS(Optimizer):
    """Layer-wise adaptive rate scaling: SGD with a learning rate for each weight matrix.

    The defaults are solo-learn's for small images and ImageNet-100; its ImageNet setting is 0.001 without clipping.
    """

    name: Literal["lars"]
    """Selects LARS."""
    trust: Positive = 0.02
    """Trust coefficient η."""
    clip_trust: bool = True
    """Limit the rate of every matrix to the run's learning rate."""


OptimizerOptions = Annotated[SGD | AdamW | LARS, Field(discriminator="name")]


class Online(Section):
    """Evaluation during training by a linear probe and kNN; it does not change the weights.

    The probe is trained on the detached representations. Both are evaluated on test images, where kNN uses as many
    training images.
    """

    learning_rate: Positive = 0.1
    """Learning rate of the probe for a batch of 256, on the schedule of the run."""
    every: Count = 1
    """Epochs between two evaluations; the last epoch is always evaluated."""
    samples: Count = 1000
    """Number of test images of an evaluation, and of training images that vote in kNN."""
    neighbours: Count = 20
    """Number of neighbours k of kNN, at most `samples`."""

    @model_validator(mode="after")
    def neighbours_exist(self) -> Self:
        if self.neighbours > self.samples:
            raise ValueError(f"neighbours: {self.neighbours} is more than the {self.samples} samples")
        return self
