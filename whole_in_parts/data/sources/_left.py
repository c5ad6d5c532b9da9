"""Files that are left where they lie: their list is fetched in their place, and each is checked when it is read."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from whole_in_parts.failure import Failure


class Entry(NamedTuple):
    """A file in a list: its name in the dataset, its path relative to the folder, and its sha256."""

    name: str
    path: str
    sha256: str


def describe(name: str, file: Path, folder: Path) -> Entry:
    """Describe a file as it is now."""
    return Entry(name, str(file.relative_to(folder)), hashlib.sha256(file.read_bytes()).hexdigest())


def write(entries: Iterable[Entry], file: Path) -> None:
    """Write a list of files, an object of JSON a line."""
    file.write_text("".join(f"{json.dumps(entry._asdict())}\n" for entry in entries), encoding="utf-8")


def read(file: Path) -> list[Entry]:
    """Read a list that `write` made."""
    return [Entry(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def content(file: Path, sha256: str) -> bytes:
    """Read a file that is listed.

    Raises:
        Failure: it is gone, or is another than when it was listed.
    """
    try:
        found = file.read_bytes()
    except OSError as error:
        raise Failure(f"{file}: listed when the dataset was fetched, and cannot be read now ({error})") from error
    if hashlib.sha256(found).hexdigest() != sha256:
        raise Failure(f"{file}: changed since the dataset was fetched; restore it, or fetch the dataset again")
    return found
