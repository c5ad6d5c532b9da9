"""The recipes of params.yaml: pieces that runs merge (`<<: *name`), and whether a change of one still reaches them."""

from collections.abc import Iterator
from pathlib import Path

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode

MERGE = "tag:yaml.org,2002:merge"


def written_out(path: Path) -> str:
    """Which entries repeat what they merge, so that a change of the recipe does not reach them: one line, or nothing.

    `dvc exp run -S` and `dvc exp apply` leave a study so; `dvc exp run --temp -S` does not touch it.
    """
    root = yaml.compose(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    found = {place: keys for place, keys in _repeated(root, "") if not place.startswith("recipes")}
    if not found:
        return ""
    place, keys = next(iter(found.items()))
    more = f", and {len(found) - 1} other entries do likewise" if len(found) > 1 else ""
    return (
        f"{path}: {place} repeats {', '.join(keys)} of the recipe that it merges{more}: a change of the recipe "
        f"does not reach them; to go back: git checkout {path}"
    )


def _repeated(node: Node | None, place: str) -> Iterator[tuple[str, list[str]]]:
    """The mappings that have keys of their own with the values that they would inherit, and these keys."""
    if not isinstance(node, MappingNode):
        return
    own = {key.value: value for key, value in node.value if key.tag != MERGE}
    inherited = {name: value for key, value in node.value if key.tag == MERGE for name, value in _merged(value)}
    if repeated := [name for name in own if name in inherited and _same(own[name], inherited[name])]:
        yield place, repeated
    for name, value in own.items():
        yield from _repeated(value, f"{place}.{name}" if place else name)


def _merged(node: Node) -> Iterator[tuple[str, Node]]:
    """The keys and values of a mapping that is merged, or of several."""
    for mapping in node.value if isinstance(node, SequenceNode) else [node]:
        for key, value in mapping.value:
            yield from _merged(value) if key.tag == MERGE else [(key.value, value)]


def _same(one: Node, other: Node) -> bool:
    """Whether two nodes have the same content."""
    if isinstance(one, ScalarNode) or isinstance(other, ScalarNode):
        return (one.tag, one.value) == (other.tag, other.value)
    if isinstance(one, SequenceNode) and isinstance(other, SequenceNode):
        return len(one.value) == len(other.value) and all(map(_same, one.value, other.value))
    left = {key.value: value for key, value in one.value}
    right = {key.value: value for key, value in other.value}
    return left.keys() == right.keys() and all(_same(left[name], right[name]) for name in left)
