"""What the options of all modifiers have in common."""

from typing import TYPE_CHECKING, ClassVar

from whole_in_parts.config.method import MethodConfig
from whole_in_parts.config.section import Section


class ModifierConfig(Section):
    """The options of a modifier."""

    if TYPE_CHECKING:
        name: str

    modifies: ClassVar[type[MethodConfig]] = MethodConfig
    """The options of the methods that it can modify."""
    needs_whole_batch: ClassVar[bool] = False
    """Whether it compares gradients of whole batches, so that gradients cannot be accumulated over parts of one."""

    @classmethod
    def supports(cls, method: MethodConfig) -> bool:
        """Whether the method can have this modifier."""
        return method.modifiable and isinstance(method, cls.modifies)

    def crop_sizes(self) -> dict[str, int]:
        """The sides in pixels of the crops that the modifier adds to the views, by the keys of the options."""
        return {}
