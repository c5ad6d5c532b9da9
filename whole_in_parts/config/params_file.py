"""Read a params.yaml as data that may be trusted: bounded in size and depth, without a key twice or a number too large.

YAML allows more than a study needs: aliases that grow without bound when they are followed, parts that contain
themselves, keys that are given twice, dates, infinity. Each is refused with its line and its key, before it costs time.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode

YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser where it is installed: ten times as fast, and a study of 300 runs has thousands of lines."""
TAG = "tag:yaml.org,2002:"
MERGE = f"{TAG}merge"

MOST_BYTES = 1 << 24
MOST_VALUES = 5_000_000
"""Limit of the values that a file has once its aliases are followed."""
MOST_DEPTH = 40
MOST_CHARACTERS = {"key": 100, "value": 4000}
LARGEST = 2**53
"""Numbers beyond are not all exact as floating-point numbers."""


def read(path: Path) -> Any:
    """Read a file.

    Raises:
        ValueError: the file is missing, is not YAML, or holds what no study needs; one line that names the place.
    """
    text = _text(path)
    try:
        _check_depth(text)
        root = yaml.compose(text, YAML)
        if root is not None:
            _Values(root).check()
        return yaml.load(text, YAML)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _text(path: Path) -> str:
    """Read a text file of bounded size.

    Raises:
        ValueError: it is missing, too large, or not UTF-8.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ValueError(f"{path}: larger than {MOST_BYTES >> 20} MiB")
        return content.decode("utf-8")
    except FileNotFoundError:
        raise ValueError(f"{path}: not found; run this from the folder that holds it") from None
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}: line {line} is not UTF-8; save the file in that encoding") from None


def _check_depth(text: str) -> None:
    """Check how deeply parts are nested, before a parser that recurses reads them.

    Raises:
        ValueError: deeper than any study.
    """
    depth = 0
    for event in yaml.parse(text, YAML):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MOST_DEPTH:
            raise ValueError(f"{_line(event)}: more than {MOST_DEPTH} levels of nesting")


def _line(part: Node | yaml.Event) -> str:
    """Say where a part begins."""
    return f"line {part.start_mark.line + 1}" if part.start_mark else "line ?"


class _Values:
    """The values of a file. Each is visited once, however many aliases refer to it."""

    def __init__(self, root: Node) -> None:
        self.root = root
        self._open: set[int] = set()
        self._counts: dict[int, int] = {}
        """The number of values in a part that was visited, aliases followed."""
        self._heights: dict[int, int] = {}
        """The levels of nesting in a part that was visited."""

    def check(self) -> None:
        """Check all values.

        Raises:
            ValueError: one is refused.
        """
        self._visit(self.root, "", 1)

    def _visit(self, node: Node, key: str, depth: int) -> None:
        """Check a part and what it contains, and count its values."""
        place = f"{_line(node)}: {key or 'the file'}"
        if id(node) in self._open:
            raise ValueError(f"{place}: contains itself")
        if depth + self._heights.get(id(node), 0) > MOST_DEPTH:
            raise ValueError(f"{place}: more than {MOST_DEPTH} levels of nesting")
        if id(node) in self._counts:
            return

        self._open.add(id(node))
        count, height = 1, 0
        for name, child in _children(node, place):
            self._visit(child, f"{key}.{name}" if key else name, depth + 1)
            count += self._counts[id(child)]
            height = max(height, self._heights[id(child)] + 1)
            if count > MOST_VALUES:
                raise ValueError(f"{place}: more than {MOST_VALUES:,} values, once its aliases are followed")
        self._open.remove(id(node))
        self._counts[id(node)], self._heights[id(node)] = count, height

        if isinstance(node, ScalarNode) and (problem := _problem(node)):
            raise ValueError(f"{place}: {problem}")


def _children(node: Node, place: str) -> Iterator[tuple[str, Node]]:
    """Yield the parts of a mapping or a list, by key or index.

    Raises:
        ValueError: a key is no text, is too long, or is there twice.
    """
    if isinstance(node, SequenceNode):
        yield from ((str(index), child) for index, child in enumerate(node.value))
    if not isinstance(node, MappingNode):
        return

    seen: set[str] = set()
    for key, child in node.value:
        at = _line(key)
        if not isinstance(key, ScalarNode) or key.tag not in (f"{TAG}str", MERGE):
            raise ValueError(f"{at}: a key that is no text, in {place.partition(': ')[2]}; put it in quotes")
        if problem := _problem_of_text(key.value, "key"):
            raise ValueError(f"{at}: {key.value[:20]!r}…: {problem}")
        if key.value in seen and key.tag != MERGE:
            raise ValueError(f"{at}: {key.value}: given twice in {place.partition(': ')[2]}; keep one of them")
        seen.add(key.value)
        yield key.value, child


def _problem(node: ScalarNode) -> str:
    """Say why a value is refused; nothing if it is not."""
    kind = node.tag.removeprefix(TAG)
    if kind == "timestamp":
        return f"a date, {node.value}; put it in quotes if it is meant as text"
    if kind == "str":
        return _problem_of_text(node.value, "value")
    if kind not in ("int", "float"):
        return ""
    number = yaml.load(node.value, YAML)
    if not math.isfinite(number):
        return f"{node.value} is not a finite number"
    return f"{node.value[:40]} is beyond ±2^53" if abs(number) > LARGEST else ""


def _problem_of_text(text: str, role: str) -> str:
    """Say why a text is refused; nothing if it is not."""
    if len(text) > MOST_CHARACTERS[role]:
        return f"{len(text)} characters, and a {role} may have {MOST_CHARACTERS[role]}"
    controls = [character for character in text if not character.isprintable() and character not in "\n\t"]
    return f"has the control character {controls[0]!r}" if controls else ""
