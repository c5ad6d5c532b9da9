"""Read and replace the record of one stage in the text of dvc.lock.

DVC parses and writes all of dvc.lock for a stage, which takes a minute in a study of 300 runs. The text written here
equals DVC's to the byte. It is written to a temporary file and renamed, so a kill cannot truncate dvc.lock.
"""

import re
from pathlib import Path
from typing import Any

from dvc.utils.serialize import dumps_yaml, parse_yaml

LOCKFILE = Path("dvc.lock")
HEAD = "schema: '2.0'\nstages:\n"
"""The first lines of a dvc.lock that DVC wrote."""


class UnknownForm(Exception):
    """The file is not formatted as DVC writes it, so DVC itself must change it."""


def read(name: str, lockfile: Path = LOCKFILE) -> dict[str, Any]:
    """Read the record of a stage; empty if there is none.

    Raises:
        UnknownForm: dvc.lock was not written by DVC.
    """
    text = _text(lockfile)
    start, end = _span(text, name)
    return parse_yaml("stages:\n" + text[start:end], str(lockfile))["stages"][name] if start < end else {}


def write(name: str, content: dict[str, Any], lockfile: Path = LOCKFILE) -> None:
    """Replace the record of a stage in place, or append it.

    Raises:
        UnknownForm: dvc.lock was not written by DVC.
    """
    text = _text(lockfile)
    start, end = _span(text, name)
    changed = text[:start] + _block(name, content) + text[end:]
    if changed == text:
        return
    temporary = lockfile.with_suffix(".lock.unfinished")
    temporary.write_text(changed, encoding="utf-8")
    temporary.replace(lockfile)


def _text(lockfile: Path) -> str:
    """Read dvc.lock; a missing file reads as one without stages."""
    if not lockfile.exists():
        return HEAD
    text = lockfile.read_text(encoding="utf-8")
    if not text.startswith(HEAD) or not text.endswith("\n"):
        raise UnknownForm(f"{lockfile}: not as DVC writes it")
    return text


def _span(text: str, name: str) -> tuple[int, int]:
    """Find the start and end of the block of a stage; both are its insertion point if there is no block."""
    title = _block(name, {"cmd": ""}).partition("\n")[0]

    # The stages end at the next key of the top level.
    last = re.compile(r"^\S", re.MULTILINE).search(text, len(HEAD))
    stages_end = last.start() if last else len(text)
    start = text.find(f"\n{title}\n", len(HEAD) - 1, stages_end) + 1
    if not start:
        return stages_end, stages_end

    # The block ends at the next key of at most its own indentation.
    following = re.compile(r"^ {0,2}\S", re.MULTILINE).search(text, start + len(title))
    return start, following.start() if following else len(text)


def _block(name: str, content: dict[str, Any]) -> str:
    """Format the record of a stage as DVC does."""
    return dumps_yaml({"stages": {name: content}}).removeprefix("stages:\n")
