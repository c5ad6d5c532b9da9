"""Write the runs of all grids into `params.yaml`: `python -m workflow.grid`, or `make grid`.

They stand between two comments at the end of `runs`; all other lines stay as they are. Options of a grid's run that are
changed later reach its runs when this is run again, and until then the study is refused.
"""

import sys
from typing import Any

import yaml

from whole_in_parts.config.grid import expand
from whole_in_parts.config.params_file import Loader, parse, read_text
from whole_in_parts.config.study import PARAMS, load_study

BEGIN = "  # From here on, runs of `grids`, written by: python -m workflow.grid"
END = "  # To here."


def main() -> None:
    """Rewrite the file, and check it.

    Raises:
        SystemExit: the file, a grid or one of its runs is not valid; the file is then as it was.
    """
    try:
        text = read_text(PARAMS)
        write_if_valid(with_runs(text), before=text)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        sys.exit(f"workflow.grid: error: {error}")
    print(f"{PARAMS}: {len(expanded(parse(text, PARAMS)))} runs of grids")


def write_if_valid(text: str, before: str) -> None:
    """Write params.yaml.

    Raises:
        ValueError: the study is not valid; the file is then as it was.
    """
    PARAMS.write_text(text, encoding="utf-8")
    try:
        load_study()
    except ValueError:
        PARAMS.write_text(before, encoding="utf-8")
        raise


def with_runs(text: str) -> str:
    """Return a `params.yaml` with the runs of its grids in place of those that it had of them."""
    lines = without_runs(text.splitlines())
    runs = expanded(parse("\n".join(lines), PARAMS))
    if not runs:
        return "\n".join(lines) + "\n"
    block = [BEGIN, *(f"  {name}: {on_one_line(run)}" for name, run in runs.items()), END]
    place = end_of_runs(lines)
    return "\n".join([*lines[:place], *block, *lines[place:]]) + "\n"


def on_one_line(run: dict[str, Any]) -> str:
    """Write a run as YAML on one line; JSON would not do, since YAML takes its 1e-06 for a string."""
    return yaml.safe_dump(run, sort_keys=False, default_flow_style=True, allow_unicode=True, width=sys.maxsize).rstrip()


def without_runs(lines: list[str]) -> list[str]:
    """Remove what this program has written earlier."""
    if BEGIN not in lines:
        return lines
    begin, end = lines.index(BEGIN), lines.index(END)
    return lines[:begin] + lines[end + 1 :]


def expanded(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the runs of all grids of a study.

    Raises:
        ValueError: a grid varies a run that is not there, or an option that the run has not.
    """
    runs: dict[str, dict[str, Any]] = {}
    for name, grid in (content.get("grids") or {}).items():
        if grid["run"] not in content["runs"]:
            raise ValueError(
                f"grids.{name}.run: no run is called {grid['run']}; there are: {', '.join(content['runs'])}"
            )
        runs |= expand(name, grid, content["runs"][grid["run"]])
    return runs


def end_of_runs(lines: list[str]) -> int:
    """Return the index of the line behind the last entry of `runs`."""
    document = yaml.compose("\n".join(lines), Loader)
    assert isinstance(document, yaml.MappingNode)
    (end,) = [value.end_mark.line for key, value in document.value if key.value == "runs"]
    while not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#"):
        end -= 1
    return end


if __name__ == "__main__":
    main()
