"""Base classes of the options of all methods."""

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from whole_in_parts.config.backbone import BackboneConfig
from whole_in_parts.config.section import Count, Fraction, Fractions, NotNegative, Positive, Section

Widths = Annotated[list[Count], Field(min_length=1)]
"""The widths of the hidden layers of an MLP, followed by the width of its output."""


class MethodConfig(Section):
    """The options of a method."""

    if TYPE_CHECKING:
        name: str

    modifiable: ClassVar[bool] = True
    """Whether the method supports modifiers at all; `ModifierConfig.supports` decides for each modifier."""

    queued_views: ClassVar[int] = 2
    """How many of an image's two views enter a queue, if the method has one."""
    trains: ClassVar[bool] = True
    """Whether the method trains the backbone, in at least one epoch."""

    def incompatibility(self, backbone: BackboneConfig) -> str | None:
        """Say why the method cannot have a backbone, as `key: reason`; None if it can."""
        return None

    def crop_sizes(self) -> dict[str, int]:
        """Return the sides in pixels of the crops that the method adds to the views, by option key."""
        return {}

    def squashed_side(self) -> int | None:
        """Return the side in pixels of the squares that images are squashed to before they are cropped, if they are."""
        return None


class JointEmbeddingConfig(MethodConfig):
    """A base that aligns embeddings of views."""

    projector: Widths
    """Widths of the projector's hidden layers, followed by the width of its output."""


class TargetNetworkConfig(JointEmbeddingConfig):
    """A base with a target network, an exponential moving average (EMA) of the online network."""

    momentum: Fractions
    """EMA momentum of the target network at the first and at the last step, each 0 to 1 and not falling."""


class DistillationConfig(TargetNetworkConfig):
    """Self-distillation into prototypes, as in DINO; the last width of `projector` is that of the bottleneck."""

    prototypes: Count
    """Number of prototypes K, the width of the head's output."""
    norm: bool = False
    """Use batch norm in the hidden layers of the projector."""
    student_temperature: Positive = 0.1
    """Temperature of the student's softmax."""
    teacher_temperature: Fractions = (0.04, 0.07)
    """Temperature of the teacher's softmax at the start and at the end of its warm-up, each 0 to 1."""
    warmup_epochs: NotNegative = 30.0
    """Epochs over which the teacher's temperature rises."""
    centre_momentum: Fraction = 0.9
    """EMA momentum of the centre that is subtracted from the teacher's scores, 0 to 1."""
    frozen_epochs: NotNegative = 1.0
    """Epochs at the start during which the prototypes are not updated."""
