"""The recipes of params.yaml: fragments that runs merge (`<<: *name`), and the check that runs still inherit them."""

from collections.abc import Iterator
from pathlib import Path

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode

from whole_in_parts.config.params_file import Loader, read_text

MERGE = "tag:yaml.org,2002:merge"


def redundant_overrides(path: Path) -> str:
    """Return a one-line warning about entries that repeat values of the recipe they merge, or an empty string.

    A later change of the recipe would not reach such entries. `dvc exp run -S` and `dvc exp apply` write a study in
    this form; `dvc exp run --temp -S` leaves the file unchanged. The file has to be one that `load_study` accepts.
    """
    root = yaml.compose(read_text(path), Loader)
    repeated = {key: names for key, names in _repeated(root, "") if not key.startswith("recipes")}
    if not repeated:
        return ""

    first, names = next(iter(repeated.items()))
    more = f", and {len(repeated) - 1} other entries do likewise" if len(repeated) > 1 else ""
    return (
        f"{path}: {first} repeats {', '.join(names)} of the recipe that it merges{more}: a change of the recipe "
        f"does not reach them; to restore the file: git checkout {path}"
    )


def _repeated(node: Node | None, path: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each mapping, by its dotted key, that sets keys to the values it would inherit, with these keys."""
    if not isinstance(node, MappingNode):
        return
    own = {key.value: value for key, value in node.value if key.tag != MERGE}
    inherited = {name: value for key, value in node.value if key.tag == MERGE for name, value in _merged(value)}
    if repeated := [name for name in own if name in inherited and _equal(own[name], inherited[name])]:
        yield path, repeated
    for name, value in own.items():
        yield from _repeated(value, f"{path}.{name}" if path else name)


def _merged(node: Node) -> Iterator[tuple[str, Node]]:
    """Yield the keys and values of a merged mapping, or of each mapping of a merged list."""
    for mapping in node.value if isinstance(node, SequenceNode) else [node]:
        for key, value in mapping.value:
            yield from _merged(value) if key.tag == MERGE else [(key.value, value)]


def _equal(left: Node, right: Node) -> bool:
    """Return whether two nodes have the same content."""
    if isinstance(left, ScalarNode) or isinstance(right, ScalarNode):
        return (left.tag, left.value) == (right.tag, right.value)
    if isinstance(left, SequenceNode) and isinstance(right, SequenceNode):
        return len(left.value) == len(right.value) and all(map(_equal, left.value, right.value))

    left_values = {key.value: value for key, value in left.value}
    right_values = {key.value: value for key, value in right.value}
    return left_values.keys() == right_values.keys() and all(
        _equal(left_values[name], right_values[name]) for name in left_values
    )
