"""Progress bars: one that moves on a terminal, lines in a log, none in processes other than rank zero."""

import sys
from collections.abc import Iterable
from typing import Any, TypeVar

from tqdm import tqdm

from whole_in_parts.distributed.environment import is_rank_zero

Item = TypeVar("Item")

LOG_SECONDS = 10
"""Between two lines in a log."""

_program = ""


def name_program(name: str) -> None:
    """Begin the title of every progress bar with a name, such as `pretrain byol`."""
    global _program
    _program = name


def progress(items: Iterable[Item], what: str, **options: Any) -> "tqdm[Item]":
    """A progress bar over `items`, which says `what` is done; in a log, one line every ten seconds."""
    title = f"{_program} {what}".strip()
    if not is_rank_zero():
        return tqdm(items, disable=True)
    if sys.stderr.isatty():
        return tqdm(items, title, **options)
    return tqdm(items, title, file=_Lines(), mininterval=LOG_SECONDS, ascii=True, ncols=110, **options)


class _Lines:
    """Standard error for a log: every state of the bar on a line of its own."""

    def write(self, text: str) -> None:
        if text.strip():
            sys.stderr.write(text.strip("\r\n") + "\n")

    def flush(self) -> None:
        sys.stderr.flush()
