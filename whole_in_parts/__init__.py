"""A library for self-supervised vision: methods that learn from images and their parts, and evaluations of them.

`whole_in_parts.load("model")` loads a trained backbone by its folder or its name on the Hugging Face Hub.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whole_in_parts.models.hub import load as load


def __getattr__(name: str) -> Any:
    """Import `load` when it is asked for: the package itself imports nothing."""
    if name == "load":
        return importlib.import_module("whole_in_parts.models.hub").load
    raise AttributeError(f"module {__name__} has no attribute {name}")
