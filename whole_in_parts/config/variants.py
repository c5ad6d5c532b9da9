"""Registry of the variants of an option: the file name selects the class.

`config/methods/byol.py` defines the options of the method `byol`, and `methods/byol.py` its implementation. There is
no list of variants: a new pair of files adds a method.
"""

import importlib
import pkgutil
from functools import reduce
from operator import or_
from typing import Annotated, Any, TypeVar, get_args

from pydantic import Field, TypeAdapter

from whole_in_parts.config.section import Section

PACKAGE = "whole_in_parts.config"

Options = TypeVar("Options", bound=Section)


def variants(package: str, base: type[Options] = Section) -> dict[str, type[Options]]:  # type: ignore[assignment]
    """Return the classes of options of a package of `config/` by file name; all are subclasses of `base`.

    Raises:
        ImportError: a file defines no class whose `name` is that of the file.
    """
    folder = importlib.import_module(f"{PACKAGE}.{package}").__path__
    names = sorted(module.name for module in pkgutil.iter_modules(folder))
    return {name: _variant(package, name, base) for name in names}


def union_of(package: str) -> Any:
    """Return the type of an option whose `name` selects one of the variants of a package."""
    return Annotated[reduce(or_, variants(package).values()), Field(discriminator="name")]


def read_variant(package: str, content: dict[str, object]) -> Any:
    """Validate the saved options of one variant.

    Raises:
        ValueError: the options are not valid.
    """
    return TypeAdapter(union_of(package)).validate_python(content)


def _variant(package: str, name: str, base: type[Options]) -> type[Options]:
    """Return the class that a module defines itself, extends `base`, and whose `name` is that of the module."""
    module = importlib.import_module(f"{PACKAGE}.{package}.{name}")
    for cls in vars(module).values():
        if isinstance(cls, type) and issubclass(cls, base) and cls.__module__ == module.__name__:
            field = cls.model_fields.get("name")
            if field is not None and get_args(field.annotation) == (name,):
                return cls
    raise ImportError(f"{module.__name__}: no subclass of {base.__name__} in it has name: Literal[{name!r}]")
