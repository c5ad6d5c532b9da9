"""Which samples are in which shard, in which order: a function of the source and of the options alone."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from whole_in_parts.augment.randomness import permutation
from whole_in_parts.config.datasets import Dataset
from whole_in_parts.config.source import Resize
from whole_in_parts.data.source import Sample


class Plan:
    """What the shards of a split hold, and the folder in which they are made."""

    def __init__(self, samples: Sequence[Sample], per_shard: int, folder: Path, resize: Resize | None = None):
        self.samples, self.per_shard, self.folder, self.resize = samples, per_shard, folder, resize
        self._order = permutation(len(samples), "shard")

    @property
    def shards(self) -> range:
        """The numbers of the shards."""
        return range(-(-len(self.samples) // self.per_shard))

    def of(self, shard: int) -> Iterator[Sample]:
        """The samples of a shard, each read when it is asked for."""
        start = shard * self.per_shard
        return (self.samples[number] for number in self._order[start : start + self.per_shard])


def identity(options: Dataset, fetched: Path, code: Mapping[str, str]) -> str:
    """A name for all that the bytes of the shards depend on.

    What was fetched is known by its files' names, sizes and times, since to read it takes as long as to pack it: at
    worst, what is finished already is packed again.
    """
    files = sorted(file for file in fetched.rglob("*") if file.is_file())
    facts = {
        "options": options.model_dump(mode="json", exclude={"expect"}),
        "files": [(str(file.relative_to(fetched)), file.stat().st_size, file.stat().st_mtime_ns) for file in files],
        "code": dict(code),
    }
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
