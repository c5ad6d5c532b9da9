"""No modifier: the base as its paper has it."""

from whole_in_parts.methods.base import Method


def modify(method: Method, options, size: int) -> Method:
    return method
