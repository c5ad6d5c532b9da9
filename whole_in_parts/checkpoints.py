"""Checkpoints of work that may be killed at any moment: outside the results, whole or absent, the last two of them."""

import hashlib
import io
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from whole_in_parts.failure import Failure

INTERVAL_SECONDS = 30.0
"""Between two, unless `CHECKPOINT_SECONDS` of the environment says otherwise."""

SHARE = 20
"""How many times as long as it takes to save one, at least, until the next: so they cost 5 per cent of the time."""

KEPT = 2
DIGEST = 32
"""The bytes of a sha256, which a file begins with."""


class Checkpoints:
    """The checkpoints of one configuration, a file each, `<number>.pt`; the configuration is kept with each."""

    def __init__(self, folder: Path, configuration: Mapping[str, str] | None = None) -> None:
        self.folder, self.configuration = folder, dict(configuration or {})
        self.saved_at, self.took = time.monotonic(), 0.0
        self.interval = float(os.environ.get("CHECKPOINT_SECONDS", INTERVAL_SECONDS))

    def files(self) -> list[Path]:
        """Those that were finished, oldest first."""
        return sorted(self.folder.glob("*.pt"))

    def load(self) -> dict[str, Any] | None:
        """The state that was saved last and is whole, or nothing.

        Raises:
            Failure: it is of another configuration.
        """
        for file in reversed(self.files()):
            try:
                saved = read(file)
            except (OSError, ValueError) as error:
                print(f"{file}: {error}; the checkpoint before it is taken, if there is one", file=sys.stderr)
                continue
            self.check(saved["configuration"])
            return saved["state"]
        return None

    def check(self, before: Mapping[str, str]) -> None:
        """See that what was begun is what is asked for now."""
        for key in [*self.configuration, *(before.keys() - self.configuration.keys())]:
            was, now = before.get(key, "nothing"), self.configuration.get(key, "nothing")
            if was != now:
                raise Failure(
                    f"{self.folder}: what was begun there had {key}: {was}, and now it is {now}. To go on, put it "
                    "back; to begin anew, remove the folder"
                )

    def due(self) -> bool:
        return time.monotonic() - self.saved_at >= max(self.interval, SHARE * self.took)

    def save(self, state: Mapping[str, Any]) -> None:
        """Write beside, flush to the disk, rename into place; then remove all but the last two.

        Raises:
            OSError: there is no space left; what was saved before is as it was.
        """
        started, files = time.monotonic(), self.files()
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"{int(files[-1].stem) + 1 if files else 0:08d}.pt"
        beside = file.with_suffix(".unfinished")
        try:
            write(beside, {"configuration": self.configuration, "state": state})
            beside.replace(file)
        finally:
            beside.unlink(missing_ok=True)
        for old in [*files, file][:-KEPT]:
            old.unlink()
        self.saved_at = time.monotonic()
        self.took = self.saved_at - started


def write(file: Path, content: Mapping[str, Any]) -> None:
    stream = io.BytesIO()
    torch.save(content, stream)
    with file.open("wb") as target:
        target.write(hashlib.sha256(stream.getbuffer()).digest())
        target.write(stream.getbuffer())
        target.flush()
        os.fsync(target.fileno())


def read(file: Path) -> dict[str, Any]:
    """What `write` wrote.

    Raises:
        ValueError: it is not whole.
    """
    content = file.read_bytes()
    if hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
        raise ValueError("it is damaged: its checksum is not that of its content")
    return torch.load(io.BytesIO(content[DIGEST:]), weights_only=True)
