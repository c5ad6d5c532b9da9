"""Read a file of options, `params.yaml` above all, as plain data; what is not plain is refused by line and key.

A file is looked through event by event before anything is built of it, so that time and memory are bounded whatever it
holds. Dates are text, since no option is a date, and tags such as `!!python/object` are refused.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import yaml
from yaml import AliasEvent, CollectionEndEvent, Event, MappingStartEvent, NodeEvent, ScalarEvent, SequenceStartEvent

from whole_in_parts.failure import first_line

LARGEST_BYTES = 8 << 20
DEEPEST = 32
"""How many lists and mappings may be within each other."""

LONGEST = 4096
"""Characters of the longest text."""

MOST_VALUES = 500_000
"""Values of a file in which every alias is written out."""

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
TIMESTAMP = "tag:yaml.org,2002:timestamp"


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """libyaml's parser where it is installed, ten times as fast; without dates."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read(path: Path) -> Any:
    """Return the content of a file.

    Raises:
        ValueError: the file is missing, is not UTF-8 or YAML, or is not plain data; the message names file and line.
    """
    return parse(read_text(path), path)


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        ValueError: the file is missing, cannot be read, is too large or not UTF-8.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise ValueError(f"{path}: not found; run this from the folder that holds it") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from None

    if len(content) > LARGEST_BYTES:
        raise ValueError(f"{path}: larger than {LARGEST_BYTES >> 20} MiB, which no study is")
    try:
        return content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}: line {line}: not UTF-8 (byte 0x{content[error.start]:02x}); save it so") from None


def parse(text: str, path: Path) -> Any:
    """Return the content of the text of a file.

    Raises:
        ValueError: the text is not YAML, or is not plain data; the message names file, line and key.
    """
    try:
        _LookThrough(path).look(yaml.parse(text, Loader))
        return yaml.load(text, Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{path}: {line}not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:
        message = first_line(error)
        raise ValueError(message if message.startswith(f"{path}: ") else f"{path}: not YAML: {message}") from None


@dataclass
class _Open:
    """A list or mapping that has begun and not ended."""

    mapping: bool
    anchor: str | None
    values: int = 1
    """The number of values in it so far, with aliases written out, and itself."""
    items: int = 0
    key: str | None = None
    """The key whose value comes next; of a mapping that expects a key, None."""
    keys: dict[str, int] = field(default_factory=dict)
    """The line of each key."""


class _LookThrough:
    """The places and sizes of what a file holds, as far as it has been looked through."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.open: list[_Open] = []
        self.values_of: dict[str, int] = {}
        """The number of values of what an anchor names."""
        self.documents = 0

    def look(self, events: Iterator[Event]) -> None:
        """Look through a file.

        Raises:
            ValueError: something in it is not plain data.
        """
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                self.documents += 1
                if self.documents > 1:
                    self.refuse(event, "a second document begins; allowed is one")
            elif isinstance(event, CollectionEndEvent):
                ended = self.open.pop()
                self.add(event, ended.values, ended.anchor)
            elif isinstance(event, NodeEvent):
                self.look_at(event)

    def look_at(self, event: NodeEvent) -> None:
        """Look at a value or a key, or at the beginning of a list or mapping."""
        if tag := getattr(event, "tag", None):
            self.refuse(event, f"{tag[:100]}: a tag; allowed are plain values")
        if self.open and self.open[-1].mapping and self.open[-1].key is None:
            self.take_key(event)
        elif isinstance(event, MappingStartEvent | SequenceStartEvent):
            if len(self.open) == DEEPEST:
                self.refuse(event, f"more than {DEEPEST} lists and mappings within each other")
            self.open.append(_Open(isinstance(event, MappingStartEvent), event.anchor))
        elif isinstance(event, AliasEvent):
            self.add(event, self.values_of_alias(event))
        elif isinstance(event, ScalarEvent):
            self.check_text(event, event.value)
            self.add(event, 1, event.anchor)

    def take_key(self, event: NodeEvent) -> None:
        """Take the key of the value that comes next."""
        mapping = self.open[-1]
        if not isinstance(event, ScalarEvent):
            self.refuse(event, "a key that is no word")
        self.check_text(event, event.value)
        if "\n" in event.value:
            self.refuse(event, f"{event.value[:20]!r}: a key of several lines")
        if event.value in mapping.keys:
            self.refuse(event, f"{event.value} stands here again; line {mapping.keys[event.value]} has it, too")
        mapping.keys[event.value] = line_of(event)
        mapping.key = event.value
        if event.anchor:
            self.values_of[event.anchor] = 1

    def check_text(self, event: Event, text: str) -> None:
        """Check that a text is not too long, and has no characters that control a terminal or end a path."""
        if len(text) > LONGEST:
            self.refuse(event, f"a text of {len(text)} characters; allowed are {LONGEST}")
        if found := CONTROL.search(text):
            self.refuse(event, f"a control character, {found[0]!r}")

    def values_of_alias(self, event: AliasEvent) -> int:
        """Return how many values an alias stands for."""
        name = event.anchor
        if any(part.anchor == name for part in self.open):
            self.refuse(event, f"*{name} stands within what it names")
        if name not in self.values_of:
            self.refuse(event, f"*{name}: nothing above is called &{name}")
        return self.values_of[name]

    def add(self, event: Event, values: int, anchor: str | None = None) -> None:
        """Count a value that has ended in what it is in."""
        if anchor:
            self.values_of[anchor] = values
        if not self.open:
            return
        outer = self.open[-1]
        outer.values += values
        if outer.values > MOST_VALUES:
            self.refuse(event, f"more than {MOST_VALUES} values, if every alias is written out")
        outer.items += 1
        outer.key = None

    def refuse(self, event: Event, problem: str) -> NoReturn:
        """Raise the error for what is not plain data, with its line and dotted key."""
        parts = [part.key if part.mapping else str(part.items) for part in self.open]
        key = ".".join(part for part in parts if part is not None)
        place = f"{key[:200]}: " if key else ""
        raise ValueError(f"{self.path}: line {line_of(event)}: {place}{problem}")


def line_of(event: Event) -> int:
    """Return the line of an event, from 1."""
    return event.start_mark.line + 1 if event.start_mark else 0
