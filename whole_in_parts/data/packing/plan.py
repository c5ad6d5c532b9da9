"""The assignment of samples to shards and their order: a function of the source and of the options alone."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from whole_in_parts.augment.randomness import permutation
from whole_in_parts.config.datasets import Dataset
from whole_in_parts.config.source import Resize
from whole_in_parts.data.source import Sample


class Plan:
    """The contents of the shards of a split, and the folder where they are written."""

    def __init__(self, samples: Sequence[Sample], per_shard: int, folder: Path, resize: Resize | None = None):
        self.samples = samples
        self.per_shard = per_shard
        self.folder = folder
        self.resize = resize
        self._order = permutation(len(samples), "shard")

    @property
    def shards(self) -> range:
        """The indices of the shards."""
        return range(-(-len(self.samples) // self.per_shard))

    def of(self, shard: int) -> Iterator[Sample]:
        """Yield the samples of a shard; each is read lazily."""
        start = shard * self.per_shard
        return (self.samples[index] for index in self._order[start : start + self.per_shard])


def identity(options: Dataset, fetched: Path, code: Mapping[str, str]) -> str:
    """Return a hash of everything that the bytes of the shards depend on: options, fetched files and code.

    Fetched files are identified by name, size and modification time, since reading them takes as long as packing them:
    at worst, finished shards are packed again.
    """
    files = sorted(file for file in fetched.rglob("*") if file.is_file())
    inputs = {
        "options": options.model_dump(mode="json", exclude={"expect", "test_transform"}),
        "files": [(str(file.relative_to(fetched)), file.stat().st_size, file.stat().st_mtime_ns) for file in files],
        "code": dict(code),
    }
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:16]
