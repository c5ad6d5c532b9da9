"""No modifier: the base as in its paper."""

from whole_in_parts.config.modifiers.none import NoModifierConfig
from whole_in_parts.methods.base import Method


def modify(method: Method, options: NoModifierConfig, size: int) -> Method:
    return method
