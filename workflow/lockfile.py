"""The record of one stage in dvc.lock, read and replaced in the text of the file.

DVC parses and writes the whole of dvc.lock for each stage, which takes a minute in a study of 300 runs. The text that
this leaves is the one that DVC would write, to the byte; it is written beside and renamed, so a kill leaves it whole.
"""

import re
from pathlib import Path
from typing import Any

from dvc.utils.serialize import dumps_yaml, parse_yaml

LOCKFILE = Path("dvc.lock")
HEAD = "schema: '2.0'\nstages:\n"
"""How the text begins that DVC writes."""


class UnknownForm(Exception):
    """The file is not as DVC writes it, so that DVC itself has to change it."""


def read(name: str, lockfile: Path = LOCKFILE) -> dict[str, Any]:
    """What is recorded of a stage; empty if nothing is.

    Raises:
        UnknownForm: dvc.lock was not written by DVC.
    """
    text = _text(lockfile)
    start, end = _place(text, name)
    return parse_yaml("stages:\n" + text[start:end], str(lockfile))["stages"][name] if start < end else {}


def write(name: str, content: dict[str, Any], lockfile: Path = LOCKFILE) -> None:
    """Record a stage in the place that it has in the file, or as the last one.

    Raises:
        UnknownForm: dvc.lock was not written by DVC.
    """
    text = _text(lockfile)
    start, end = _place(text, name)
    changed = text[:start] + _block(name, content) + text[end:]
    if changed == text:
        return
    beside = lockfile.with_suffix(".lock.unfinished")
    beside.write_text(changed, encoding="utf-8")
    beside.replace(lockfile)


def _text(lockfile: Path) -> str:
    if not lockfile.exists():
        return HEAD
    text = lockfile.read_text(encoding="utf-8")
    if not text.startswith(HEAD) or not text.endswith("\n"):
        raise UnknownForm(f"{lockfile}: not as DVC writes it")
    return text


def _place(text: str, name: str) -> tuple[int, int]:
    """Where the block of a stage begins and ends; where it would begin, twice, if there is none."""
    title = _block(name, {"cmd": ""}).partition("\n")[0]
    last = re.compile(r"^\S", re.MULTILINE).search(text, len(HEAD))
    stages_end = last.start() if last else len(text)
    start = text.find(f"\n{title}\n", len(HEAD) - 1, stages_end) + 1
    if not start:
        return stages_end, stages_end
    following = re.compile(r"^ {0,2}\S", re.MULTILINE).search(text, start + len(title))
    return start, following.start() if following else len(text)


def _block(name: str, content: dict[str, Any]) -> str:
    """The lines of a stage, as DVC writes them."""
    return dumps_yaml({"stages": {name: content}}).removeprefix("stages:\n")
