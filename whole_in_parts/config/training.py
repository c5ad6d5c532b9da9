"""The options `optimizer` and `online` of a run."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from whole_in_parts.config.section import Count, NotNegative, Positive, Section


class Optimizer(Section):
    """The schedule and regularisation of all optimizers.

    The learning rate rises linearly over the warm-up and then falls: on a half cosine, or to a tenth at each milestone.
    """

    learning_rate: Positive
    """Peak learning rate, for a batch of 256; it is scaled by batch size / 256."""
    learning_rate_start: NotNegative = 0.0
    """Learning rate of the first step of the warm-up, whatever the batch size."""
    learning_rate_end: NotNegative = 0.0
    """Learning rate at the end of the half cosine, whatever the batch size."""
    milestones: tuple[Positive, ...] = ()
    """Epochs at which the learning rate falls to a tenth, in place of the half cosine."""
    weight_decay: NotNegative
    """Weight decay, or its initial value if `weight_decay_end` is set."""
    weight_decay_end: NotNegative | None = None
    """Weight decay at the last step, reached on a half cosine; constant if left out."""
    warmup_epochs: NotNegative
    """Epochs over which the learning rate rises; not more than the run's `epochs`."""
    clip_norm: Positive | None = None
    """Largest norm of the gradient of any single parameter tensor; no clipping if left out."""

    @model_validator(mode="after")
    def milestones_follow_each_other(self) -> Self:
        epochs = [self.warmup_epochs, *self.milestones]
        if epochs != sorted(set(epochs)):
            raise ValueError(
                f"milestones: {list(self.milestones)} after a warm-up of {self.warmup_epochs} epochs; allowed are "
                f"growing numbers of epochs after the warm-up"
            )
        return self


class SGD(Optimizer):
    """Stochastic gradient descent with momentum."""

    name: Literal["sgd"]
    """Selects SGD."""
    decay_1d: bool | None = None
    """Apply weight decay to biases and norms too; as in the paper of the run's method if left out."""


class AdamW(Optimizer):
    """Adam with decoupled weight decay."""

    name: Literal["adamw"]
    """Selects AdamW."""
    decay_1d: bool = False
    """Apply weight decay to biases and norms too."""


class LARS(Optimizer):
    """Layer-wise adaptive rate scaling: SGD with a learning rate for each weight matrix.

    Biases and norms have neither such a rate nor weight decay. The defaults are solo-learn's for small images and
    ImageNet-100; its ImageNet setting is a trust of 0.001 without clipping.
    """

    name: Literal["lars"]
    """Selects LARS."""
    learning_rate_start: NotNegative = 3e-5
    """Learning rate of the first step of the warm-up, whatever the batch size."""
    trust: Positive = 0.02
    """Trust coefficient η."""
    trust_norm: Literal["separate", "decayed"] = "separate"
    """The norm that divides: of gradient and weight decay `separate`, ‖g‖ + wd ‖p‖ (solo-learn), or of the `decayed`
    gradient, ‖g + wd · p‖ (VICReg, MoCo v3)."""
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
