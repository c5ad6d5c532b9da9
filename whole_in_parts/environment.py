"""Read numbers of the environment, which belong to a machine and not to a study."""

import math
import os
from collections.abc import Mapping
from typing import TypeVar

from whole_in_parts.failure import Failure

Number = TypeVar("Number", int, float)


def float_from_environment(
    name: str, default: float, minimum: float = 0.0, environment: Mapping[str, str] = os.environ
) -> float:
    """Return the number of a variable, or a default if it is not set or empty.

    Raises:
        Failure: it is no finite number, or below the minimum.
    """
    return _number(name, environment.get(name, ""), default, minimum, "a number")


def int_from_environment(name: str, default: int, minimum: int = 0, environment: Mapping[str, str] = os.environ) -> int:
    """Return the whole number of a variable, or a default if it is not set or empty.

    Raises:
        Failure: it is no whole number, or below the minimum.
    """
    return _number(name, environment.get(name, ""), default, minimum, "a whole number")


def _number(name: str, text: str, default: Number, minimum: Number, allowed: str) -> Number:
    """Convert a text to the type of the default."""
    if not text.strip():
        return default
    try:
        number = type(default)(text)
    except ValueError:
        number = None
    if number is None or not math.isfinite(number) or number < minimum:
        raise Failure(f"{name}={text[:100]}: allowed is {allowed} of {minimum} or more")
    return number
