"""Options of the modifier `none` (`modifiers/none.py`)."""

from typing import Literal

from whole_in_parts.config.method import MethodConfig
from whole_in_parts.config.modifier import ModifierConfig


class NoModifierConfig(ModifierConfig):
    """The method without a modifier."""

    name: Literal["none"]
    """Selects no modifier."""

    @classmethod
    def supports(cls, method: MethodConfig) -> bool:
        return True
