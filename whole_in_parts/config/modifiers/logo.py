"""Options of the modifier `logo` (`modifiers/logo.py`)."""

from typing import Literal, Self

from pydantic import model_validator

from whole_in_parts.config.method import JointEmbeddingConfig
from whole_in_parts.config.modifier import ModifierConfig
from whole_in_parts.config.section import Count, NotNegative, Positive
from whole_in_parts.config.views import View


class LoGoConfig(ModifierConfig):
    """LoGo adds two local crops, aligned with the global views and separated from each other by a learned affinity."""

    modifies = JointEmbeddingConfig
    needs_whole_batch = True
    name: Literal["logo"]
    """Selects LoGo."""
    size: Count
    """Side of a local crop, in pixels; not above the run's `image_size`."""
    view: View
    """The augmentations of the local crops."""
    mode: Literal["ratio", "public"] = "ratio"
    """The `ratio` of gradient norms of the paper, or the authors' `public` code."""
    ratio: NotNegative = 5e-4
    """The paper's λ, the norm of the repelling over the aligning gradient; in mode `public` its upper bound."""
    local_to_local: bool = True
    """Separate the two local crops from each other."""
    learning_rate: Positive = 0.03
    """Learning rate of the affinity and of the repelling step, in mode `public` alone."""

    @model_validator(mode="after")
    def public_mode_needs_local_to_local(self) -> Self:
        if self.mode == "public" and not self.local_to_local:
            raise ValueError("local_to_local: mode public takes true; to leave local crops unseparated, use mode ratio")
        return self

    def crop_sizes(self) -> dict[str, int]:
        return {"size": self.size}
