"""Base class of the options of all modifiers."""

from typing import TYPE_CHECKING, ClassVar

from whole_in_parts.config.method import MethodConfig
from whole_in_parts.config.section import Section


class ModifierConfig(Section):
    """The options of a modifier."""

    if TYPE_CHECKING:
        name: str

    modifies: ClassVar[type[MethodConfig]] = MethodConfig
    """The base class of the options of all methods that the modifier supports."""
    needs_whole_batch: ClassVar[bool] = False
    """Whether the modifier compares gradients of whole batches, which excludes gradient accumulation."""

    @classmethod
    def supports(cls, method: MethodConfig) -> bool:
        """Return whether the method can be combined with this modifier."""
        return method.modifiable and isinstance(method, cls.modifies)

    def incompatibility(self, method: MethodConfig) -> str | None:
        """Return what is wrong with these options for a method that the modifier supports, beginning with the key."""
        return None

    def crop_sizes(self) -> dict[str, int]:
        """Return the sides in pixels of the crops that the modifier adds to the views, by option key."""
        return {}
