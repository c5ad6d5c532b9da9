"""Allow one build at a time in a working directory, by a lock that the kernel releases if its process dies."""

import fcntl
import os
from pathlib import Path
from typing import IO

from snakemake.exceptions import WorkflowError


class BuildLock:
    """The lock of this process; Snakemake's own lock survives a kill until the user removes it."""

    FILE = Path(".snakemake/build.lock")
    _held: IO[str] | None = None

    @classmethod
    def take(cls) -> None:
        """Acquire the lock until this process ends.

        Raises:
            WorkflowError: another process builds in this directory.
        """
        cls.FILE.parent.mkdir(exist_ok=True)
        stream = cls.FILE.open("a+")
        if not _acquire(stream):
            raise WorkflowError(cls._holder(stream))
        stream.truncate(0)
        stream.write(f"Snakemake's process {os.getpid()}")
        stream.flush()
        cls._held = stream

    @classmethod
    def builder(cls) -> str:
        """Return one line that names the process that builds in this directory; empty if there is none."""
        if not cls.FILE.exists():
            return ""
        with cls.FILE.open() as stream:
            return "" if _acquire(stream) else cls._holder(stream)

    @classmethod
    def _holder(cls, stream: IO[str]) -> str:
        stream.seek(0)
        return f"{cls.FILE}: {stream.read()} builds here; wait for it, or stop it"


def _acquire(stream: IO[str]) -> bool:
    """Lock a file if no other process has, and return whether it is locked now."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
