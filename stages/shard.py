"""Pack a fetched dataset into WebDataset shards with an index: `results/shard/<dataset>/<split>/`.

JPEG and PNG files are copied as they are, unless the source says `resize`. The order is mixed, always in the same way,
so that a stream of shards is a mix of classes; the same images make the same bytes, by any number of processes. All
cores pack, a shard each. What is killed goes on from the shards that are whole.
"""

import shutil
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from whole_in_parts.config.source import Resize
from whole_in_parts.config.study import Study
from whole_in_parts.cores import cores
from whole_in_parts.data.packing import index, parts
from whole_in_parts.data.packing.plan import Plan, identity
from whole_in_parts.data.packing.processes import each
from whole_in_parts.data.source import Sample, load_source
from whole_in_parts.progress import progress
from whole_in_parts.results import result_dir, scratch_dir
from workflow import program
from workflow.provenance import code
from workflow.provenance.options import implementations


def shard(study: Study, dataset: str, directory: Path) -> None:
    options, fetched = study.datasets[dataset], result_dir("fetch", dataset)
    scratch = scratch_dir("shard", dataset)
    content = load_source(options.source.name).read(options.source, fetched)
    name = identity(options, fetched, code.hashes("stages.shard", implementations(options)))
    kept, resize = keep(scratch / "shards", name), getattr(options.source, "resize", None)
    plans = {
        split: Plan(samples, options.samples_per_shard, kept / split, resize)
        for split, samples in content.splits.items()
    }
    for split, plan in plans.items():
        make_shards(plan, split, cores())
    for split, plan in plans.items():
        (directory / split).mkdir()
        index.finish(plan, content.classes, directory / split)
    shutil.rmtree(kept.parent)


def keep(folder: Path, name: str) -> Path:
    """The folder for shards of one identity; those of any other are removed."""
    for other in folder.glob("*"):
        if other.name != name:
            shutil.rmtree(other)
    return folder / name


def make_shards(plan: Plan, what: str, processes: int) -> None:
    """See that all shards of a split are there, whole."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    lengths = each(partial(parts.make, plan), plan.shards, processes)
    with progress(range(len(plan.samples)), what, unit="image") as bar:
        for length in lengths:
            bar.update(length)


def pack(
    samples: Sequence[Sample],
    classes: list[str],
    folder: Path,
    per_shard: int,
    what: str,
    resize: Resize | None = None,
    processes: int = 1,
) -> None:
    """Write the shards of a split and its index."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
        plan = Plan(samples, per_shard, Path(unfinished), resize)
        make_shards(plan, what, processes)
        index.finish(plan, classes, folder)


if __name__ == "__main__":
    program.run(shard)
