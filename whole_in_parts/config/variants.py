"""The variants of a kind of options: one class for each file of a package, found by the name of the file.

`config/methods/byol.py` has the options of the method `byol`, and `methods/byol.py` its implementation. Nothing lists
them: a new pair of files is a new method.
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
    """The classes of options of a package of `config/`, which extend `base`, by the names of their files.

    Raises:
        ImportError: a file has no class whose `name` is that of the file.
    """
    folder = importlib.import_module(f"{PACKAGE}.{package}").__path__
    return {
        name: _variant(package, name, base) for name in sorted(found.name for found in pkgutil.iter_modules(folder))
    }


def union_of(package: str) -> Any:
    """The type of an option whose `name` chooses one of the variants of a package."""
    return Annotated[reduce(or_, variants(package).values()), Field(discriminator="name")]


def read_variant(package: str, content: dict[str, object]) -> Any:
    """The options of one variant, read back from where they were saved.

    Raises:
        ValueError: they are not valid.
    """
    return TypeAdapter(union_of(package)).validate_python(content)


def _variant(package: str, name: str, base: type[Options]) -> type[Options]:
    module = importlib.import_module(f"{PACKAGE}.{package}.{name}")
    for cls in vars(module).values():
        if isinstance(cls, type) and issubclass(cls, base) and cls.__module__ == module.__name__:
            field = cls.model_fields.get("name")
            if field is not None and get_args(field.annotation) == (name,):
                return cls
    raise ImportError(f"{module.__name__}: no class of options there ({base.__name__}) has name: Literal[{name!r}]")
