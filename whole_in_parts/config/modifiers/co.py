"""Options of the modifier `co` (`modifiers/co.py`)."""

from typing import Literal, Self

from pydantic import model_validator

from whole_in_parts.config.method import JointEmbeddingConfig, MethodConfig, Widths
from whole_in_parts.config.modifier import ModifierConfig
from whole_in_parts.config.section import Count, NotNegative, WholeNumber


class COConfig(ModifierConfig):
    """CO-SSL aligns local representations with the global representation of the other view."""

    modifies = JointEmbeddingConfig
    name: Literal["co"]
    """Selects CO-SSL."""
    weight: NotNegative
    """Weight w_s of the local–global term."""
    map_size: WholeNumber = 0
    """Side n of the map of n² local representations after a resize, at most that of the backbone; 0 keeps the map."""
    resize: Literal["nearest", "mean"] = "nearest"
    """Resize of the map to `map_size`."""
    layer: WholeNumber = 0
    """Index of the backbone's map, counted from 1; 0 is the last."""
    shared_heads: bool = False
    """Use the heads of the base for local representations too, instead of separate ones."""
    projector: Widths | None = None
    """Widths of the local projector: its hidden layers, then its output, which is that of the method; the method's
    widths if left out."""
    predictor: Count | None = None
    """Width of the hidden layer of the local predictor; the method's if left out."""

    def head_widths(self) -> dict[str, object]:
        """Return the widths of the local heads that differ from the method's, by the names of its options."""
        widths = {"projector": self.projector, "predictor": self.predictor}
        return {name: width for name, width in widths.items() if width is not None}

    @model_validator(mode="after")
    def shared_heads_have_no_widths(self) -> Self:
        if self.shared_heads and (names := [*self.head_widths()]):
            raise ValueError(f"{names[0]}: shared heads are the method's own; leave it out, or shared_heads")
        return self

    def incompatibility(self, method: MethodConfig) -> str | None:
        assert isinstance(method, JointEmbeddingConfig)
        if self.projector and self.projector[-1] != method.projector[-1]:
            return (
                f"projector: the local embeddings have {self.projector[-1]} dimensions, and the method's "
                f"{method.projector[-1]}; both are compared, so the last width is to be the same"
            )
        if self.predictor and not hasattr(method, "predictor"):
            return f"predictor: the method {method.name} has no predictor; leave it out"
        return None
