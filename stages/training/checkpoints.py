"""Checkpoints of a training that may be killed at any moment: outside the results, whole or absent."""

import os
import time
from pathlib import Path

import torch

INTERVAL_SECONDS = 30


class Checkpoints:
    """The newest checkpoint of one configuration, which the name of the folder stands for."""

    def __init__(self, folder: Path):
        self.file = folder / "checkpoint.pt"
        self.saved_at = time.monotonic()

    def load(self) -> dict | None:
        """What was saved last, or nothing."""
        return torch.load(self.file, weights_only=True) if self.file.exists() else None

    def due(self) -> bool:
        return time.monotonic() - self.saved_at >= INTERVAL_SECONDS

    def save(self, state: dict) -> None:
        """Write beside, flush to the disk, rename into place."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        beside = self.file.with_suffix(".unfinished")
        with beside.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(self.file)
        self.saved_at = time.monotonic()
