"""Options of the method `arb` (`methods/arb.py`)."""

from typing import Literal, Self

from pydantic import model_validator

from whole_in_parts.config.method import JointEmbeddingConfig
from whole_in_parts.config.section import Count


class ARBConfig(JointEmbeddingConfig):
    """ARB aligns the embedding of one view with the nearest orthonormal base of the other view's."""

    name: Literal["arb"]
    """Selects ARB."""
    groups: Count = 1
    """Number of groups of dimensions, drawn anew for each comparison; a base is orthonormal within each."""

    @model_validator(mode="after")
    def groups_divide_the_embedding(self) -> Self:
        if self.projector[-1] % self.groups:
            raise ValueError(
                f"groups: {self.groups} does not divide the {self.projector[-1]} dimensions of the embedding, the last "
                "width of projector"
            )
        return self
