"""What the options of all methods have in common."""

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from whole_in_parts.config.section import Count, Fraction, Fractions, NotNegative, Positive, Section

Widths = Annotated[list[Count], Field(min_length=1)]
"""The widths of the hidden layers of an MLP, and of its output."""


class MethodConfig(Section):
    """The options of a method."""

    if TYPE_CHECKING:
        name: str

    modifiable: ClassVar[bool] = True
    """Whether the method can have a modifier; which ones, the modifiers say."""

    def crop_sizes(self) -> dict[str, int]:
        """The sides in pixels of the crops that the method adds to the views, by the keys of the options."""
        return {}


class JointEmbeddingConfig(MethodConfig):
    """A base that aligns embeddings of views; `projector` gives the widths of its hidden layers and of its output."""

    projector: Widths


class TargetNetworkConfig(JointEmbeddingConfig):
    """A base with a target network; `momentum` is how much of it stays, at the first step and at the last."""

    momentum: Fractions


class DistillationConfig(TargetNetworkConfig):
    """The last width of `projector` is that of the bottleneck before the prototypes; the teacher's temperature warms up
    from the first to the second value, and the prototypes stay as they are for `frozen_epochs`.
    """

    prototypes: Count
    norm: bool = False
    student_temperature: Positive = 0.1
    teacher_temperature: Fractions = (0.04, 0.07)
    warmup_epochs: NotNegative = 30.0
    centre_momentum: Fraction = 0.9
    frozen_epochs: NotNegative = 1.0
