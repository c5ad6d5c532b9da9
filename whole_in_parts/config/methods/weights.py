"""Options of the method `weights` (`methods/weights.py`)."""

from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from whole_in_parts.config.backbone import BackboneConfig
from whole_in_parts.config.method import MethodConfig, Widths
from whole_in_parts.config.origin import OriginConfig
from whole_in_parts.config.variants import union_of

if TYPE_CHECKING:
    AnyOrigin = OriginConfig
else:
    AnyOrigin = union_of("origins")


class WeightsConfig(MethodConfig):
    """No pretraining: the backbone has weights that others trained; `epochs` is 0."""

    modifiable = False
    trains = False
    name: Literal["weights"]
    """Selects weights that others trained."""
    origin: AnyOrigin
    """Where the weights come from, chosen by `name`."""
    projector: Widths | None = None
    """Widths of the hidden layers of the projector in the file, followed by the width of its output; not loaded if left
    out. Analyses of the projection need it."""

    def incompatibility(self, backbone: BackboneConfig) -> str | None:
        """Compare the padding of the stem with that of the layout, since weights fit a stem of any padding."""
        stem, layout = getattr(backbone, "stem", None), getattr(self.origin, "layout", None)
        if not (stem and layout):
            return None
        needed = layout.stem_padding.get(stem.kernel, stem.kernel // 2)
        padding = stem.kernel // 2 if stem.padding is None else stem.padding
        if padding == needed:
            return None
        return f"backbone.stem.padding: the weights are of a stem of {stem.kernel}×{stem.kernel} with padding {needed}"

    @model_validator(mode="after")
    def projector_is_known(self) -> Self:
        layout = getattr(self.origin, "layout", None)
        if self.projector and not (layout and layout.projector):
            raise ValueError("projector: the layout has none; leave it out, or say in layout.projector where it is")
        return self
