"""Pack a fetched dataset into WebDataset shards with an index: `results/shard/<dataset>/<split>/`.

Every image is decoded once. JPEG and PNG files that read right as they are stay unchanged unless the source sets
`resize`; other kinds are converted to PNG or refused (`data/conversion.py`). The order is shuffled, always in
the same way, so that a stream of shards mixes the classes; the same images give the same bytes with any number of
processes. All cores pack, one shard at a time each. A killed stage resumes from the finished shards. Beside the splits,
`croissant.json` describes them for other programs.
"""

import shutil
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from whole_in_parts.config.source import Resize
from whole_in_parts.config.study import Study
from whole_in_parts.cores import cores
from whole_in_parts.data import croissant
from whole_in_parts.data.packing import index, parts
from whole_in_parts.data.packing.images import Refusal, check_none_refused
from whole_in_parts.data.packing.plan import Plan, identity
from whole_in_parts.data.packing.processes import map_in_processes
from whole_in_parts.data.selection import select
from whole_in_parts.data.source import Sample, load_source
from whole_in_parts.progress import progress
from whole_in_parts.results import result_dir, scratch_dir
from workflow import program
from workflow.provenance import code
from workflow.provenance.options import implementations


def shard(study: Study, dataset: str, directory: Path) -> None:
    """Pack the splits of a dataset, or the part of them that it asks for."""
    options = study.datasets[dataset]
    fetched = result_dir("fetch", dataset)
    scratch = scratch_dir("shard", dataset)
    content = load_source(options.source.name).read(options.source, fetched)
    content = select(content, dataset, options.classes, options.fraction)

    # Shards of an interrupted packing are reused only if options, files and code are the same.
    name = identity(options, fetched, code.hashes("stages.shard", implementations(options)))
    unfinished = shards_folder(scratch / "shards", name)
    resize = getattr(options.source, "resize", None)
    plans = {
        split: Plan(samples, options.samples_per_shard, unfinished / split, resize)
        for split, samples in content.splits.items()
    }
    refused = [refusal for split, plan in plans.items() for refusal in make_shards(plan, split, cores())]
    check_none_refused(dataset, refused, sum(len(plan.samples) for plan in plans.values()))

    for split, plan in plans.items():
        (directory / split).mkdir()
        index.finish(plan, content.classes, directory / split)
    croissant.write(directory, dataset, options.source.name)
    shutil.rmtree(unfinished.parent)


def shards_folder(folder: Path, name: str) -> Path:
    """Return the folder for unfinished shards of an identity; the folders of all other identities are removed."""
    for other in folder.glob("*"):
        if other.name != name:
            shutil.rmtree(other)
    return folder / name


def make_shards(plan: Plan, label: str, processes: int) -> list[Refusal]:
    """Write all shards of a split that are not finished yet; return the refused images.

    `label` is shown beside the progress bar.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    refused: list[Refusal] = []
    outcomes = map_in_processes(partial(parts.make_shard, plan), plan.shards, processes)
    with progress(range(len(plan.samples)), label, unit="image") as bar:
        for outcome in outcomes:
            bar.update(outcome.samples)
            refused += outcome.refused
    return refused


def pack(
    samples: Sequence[Sample],
    classes: list[str],
    folder: Path,
    per_shard: int,
    label: str,
    resize: Resize | None = None,
    processes: int = 1,
) -> None:
    """Write the shards of a split and its index.

    Raises:
        Failure: an image cannot be packed.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
        plan = Plan(samples, per_shard, Path(unfinished), resize)
        check_none_refused(label, make_shards(plan, label, processes), len(samples))
        index.finish(plan, classes, folder)


if __name__ == "__main__":
    program.run(shard)
