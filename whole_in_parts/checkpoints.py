"""Checkpoints of a process that may be killed at any time: written atomically, and the last two are kept."""

import hashlib
import io
import os
import struct
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from whole_in_parts.environment import float_from_environment
from whole_in_parts.failure import UNFIT, Failure, described

INTERVAL_SECONDS = 30.0
"""The least time between two checkpoints; `CHECKPOINT_SECONDS` of the environment overrides it."""

SAVE_TIMES = 20
"""The least time between two checkpoints, in multiples of the time of a save: saving takes at most 5 % of the time."""

KEPT = 2
"""The number of checkpoints on disk."""

DIGEST_BYTES = 32
"""The length of the sha256 at the start of a file."""


class Checkpoints:
    """The checkpoints of a configuration, in files `<number>.pt` that also hold the configuration."""

    def __init__(self, folder: Path, configuration: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.configuration = dict(configuration or {})
        self.saved_at = time.monotonic()
        self.save_seconds = 0.0
        self.interval = float_from_environment("CHECKPOINT_SECONDS", INTERVAL_SECONDS)

    def files(self) -> list[Path]:
        """List the complete checkpoints, oldest first."""
        return sorted(self.folder.glob("*.pt"))

    def load(self) -> dict[str, Any] | None:
        """Load the newest undamaged checkpoint; None if there is none.

        Raises:
            Failure: the checkpoint has another configuration, or its undamaged content is no checkpoint.
        """
        for file in reversed(self.files()):
            try:
                saved = read(file)
            except (OSError, ValueError) as error:
                print(f"{file}: {error}; the previous checkpoint is used, if there is one", file=sys.stderr)
                continue
            self.check(saved["configuration"])
            return saved["state"]
        return None

    def check(self, saved: Mapping[str, str]) -> None:
        """Check that the configuration of a checkpoint is the current one.

        Raises:
            Failure: a key has another value.
        """
        for key in [*self.configuration, *(saved.keys() - self.configuration.keys())]:
            old = saved.get(key, "nothing")
            new = self.configuration.get(key, "nothing")
            if old != new:
                raise Failure(
                    f"{self.folder}: the checkpoint has {key}: {old}, but now it is {new}. To resume, restore the "
                    "old value; to start again, remove the folder"
                )

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """Turn what goes wrong where a state is restored into one line.

        Raises:
            Failure: the checkpoint does not hold what is restored from it.
        """
        try:
            yield
        except UNFIT as error:
            raise Failure(
                f"{self.folder}: the checkpoint holds another state than is needed ({described(error)}); to start "
                "again, remove the folder"
            ) from error

    def due(self) -> bool:
        """Return whether it is time for the next checkpoint."""
        return time.monotonic() - self.saved_at >= max(self.interval, SAVE_TIMES * self.save_seconds)

    def save(self, state: Mapping[str, Any]) -> None:
        """Write a temporary file, sync it to the disk and rename it; then remove all but the last two checkpoints.

        Raises:
            OSError: the disk is full; earlier checkpoints are unchanged.
        """
        started = time.monotonic()
        files = self.files()
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"{int(files[-1].stem) + 1 if files else 0:08d}.pt"
        temporary = file.with_suffix(".unfinished")
        try:
            write(temporary, {"configuration": self.configuration, "state": state})
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)

        for outdated in [*files, file][:-KEPT]:
            outdated.unlink()
        self.saved_at = time.monotonic()
        self.save_seconds = self.saved_at - started


def write(file: Path, content: Mapping[str, Any]) -> None:
    """Write a checksum and the serialised content, and sync the file to the disk."""
    stream = io.BytesIO()
    torch.save(content, stream)
    with file.open("wb") as target:
        target.write(hashlib.sha256(stream.getbuffer()).digest())
        target.write(stream.getbuffer())
        target.flush()
        os.fsync(target.fileno())


def read(file: Path) -> dict[str, Any]:
    """Read the content of a file of `write`.

    Raises:
        ValueError: the file is truncated or changed.
        Failure: it is as it was written, and no checkpoint.
    """
    content = file.read_bytes()
    if hashlib.sha256(content[DIGEST_BYTES:]).digest() != content[:DIGEST_BYTES]:
        raise ValueError("damaged: its checksum differs from that of its content")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch warns of content that it then refuses
            saved = torch.load(io.BytesIO(content[DIGEST_BYTES:]), weights_only=True)
    except UnpicklingError as error:  # its message advises to let the file run code
        message = "its checksum is right, but it holds other objects than tensors and plain data; remove it"
        raise Failure(f"{file}: {message}") from error
    except (EOFError, struct.error, *UNFIT) as error:
        message = f"its checksum is right, but it is no checkpoint ({described(error)}); remove it"
        raise Failure(f"{file}: {message}") from error

    if not isinstance(saved, dict) or not all(isinstance(saved.get(key), dict) for key in ("configuration", "state")):
        raise Failure(f"{file}: its checksum is right, but it has no configuration and state; remove it")
    return saved
