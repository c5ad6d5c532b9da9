"""Progress bars: animated on a terminal, one line per update in a log, and only in rank zero."""

import sys
from collections.abc import Iterable
from typing import Any, TypeVar

from tqdm import tqdm

from whole_in_parts.distributed.environment import is_rank_zero

Item = TypeVar("Item")

LOG_SECONDS = 10
"""The interval between two lines in a log."""

_program = ""


def name_program(name: str) -> None:
    """Set the prefix of the title of every progress bar, such as `pretrain byol`."""
    global _program
    _program = name


def progress(items: Iterable[Item], task: str, **options: Any) -> "tqdm[Item]":
    """Iterate over `items` with a progress bar titled by the program and the task; `options` are those of tqdm."""
    title = f"{_program} {task}".strip()
    if not is_rank_zero():
        return tqdm(items, disable=True)
    if sys.stderr.isatty():
        return tqdm(items, title, **options)
    return tqdm(items, title, file=_LogStream(), mininterval=LOG_SECONDS, ascii=True, ncols=110, **options)


class _LogStream:
    """A wrapper of standard error that writes every state of the bar on a new line."""

    def write(self, text: str) -> None:
        if text.strip():
            sys.stderr.write(text.strip("\r\n") + "\n")

    def flush(self) -> None:
        sys.stderr.flush()
