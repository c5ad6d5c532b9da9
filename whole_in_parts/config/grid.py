"""The section `grids`: runs that vary options of another run, in all combinations.

DVC reads `runs` itself, so the runs of a grid stand there, too: `python -m workflow.grid` writes them, and a study that
has other runs than its grids say is refused.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Annotated, Any

from pydantic import Field

from whole_in_parts.config.section import Name, Section

MOST_RUNS = 1000
"""Runs of a grid."""

Values = Annotated[list[Any], Field(min_length=1)]


class Grid(Section):
    """Runs for all combinations of values of some options."""

    run: Name
    """The run whose other options they have."""
    axes: Annotated[dict[str, Values], Field(min_length=1)]
    """The values of each varied option, by its dotted key within the run, such as `modifier.weight` or `seed`."""


def expand(name: str, grid: Mapping[str, Any], base: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the runs of a grid by name, `<grid>_<option>_<value>_…`.

    Args:
        name: the name of the grid.
        grid: its content.
        base: the options of the run that it varies.

    Raises:
        ValueError: an axis names no option of the run, or there are too many runs.
    """
    if (runs := math.prod(map(len, grid["axes"].values()))) > MOST_RUNS:
        raise ValueError(f"grids.{name}.axes: {runs} runs; allowed are {MOST_RUNS}")
    for values in product(*grid["axes"].values()):
        # Parts that aliases of YAML share, such as two equal views, become parts of their own.
        run = json.loads(json.dumps(base))
        parts = [name]
        for key, value in zip(grid["axes"], values, strict=True):
            _set(run, key, value, f"grids.{name}.axes.{key}")
            parts += [key.rpartition(".")[2], re.sub(r"[^A-Za-z0-9]+", "_", str(value)).strip("_")]
        yield "_".join(parts), run


def _set(run: Any, key: str, value: Any, place: str) -> None:
    """Set an option by its dotted key; parts of the key that are numbers index lists.

    Raises:
        ValueError: the run has no such option.
    """
    *parents, last = key.split(".")
    section = run
    try:
        for part in parents:
            section = section[int(part)] if isinstance(section, list) else section[part]
        if isinstance(section, list):
            section[int(last)] = value
        else:
            section[last] = value
    except (KeyError, IndexError, TypeError, ValueError):
        raise ValueError(f"{place}: the run has no section for it; allowed are dotted keys of its options") from None
