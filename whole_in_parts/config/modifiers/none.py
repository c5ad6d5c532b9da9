"""Options of the modifier `none` (`modifiers/none.py`)."""

from typing import Literal

from whole_in_parts.config.method import MethodConfig
from whole_in_parts.config.modifier import ModifierConfig


class NoModifierConfig(ModifierConfig):
    """The base alone."""

    name: Literal["none"]

    @classmethod
    def supports(cls, method: MethodConfig) -> bool:
        return True
