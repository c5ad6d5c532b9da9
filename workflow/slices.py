"""Build the study of params.yaml without DVC and Snakemake, in slices of time: `python -m workflow.slices --minutes 9`.

For a machine that is lent for minutes and has neither engine. The stages of one run follow each other, so that each
slice ends with whole runs; `--jobs` builds several runs side by side, which a GPU needs where a step of one leaves it
idle. When the time is up, a training is interrupted and keeps its checkpoint, and the same command goes on. The exit
code is 0 if all is built, and 75 (EX_TEMPFAIL) if something is left.
"""

import argparse
import hashlib
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from whole_in_parts.config.study import Study, load_study
from whole_in_parts.results import result_dir, scratch_dir
from workflow.program import INTERRUPTED
from workflow.provenance import record
from workflow.study import ENTRIES_OF_RUNS

OF_A_DATASET = ("fetch", "shard", "contract")
OF_A_RUN = ("pretrain", "extract", "linear", "knn", "corrupt", "mask", "attack")
GRACE_SECONDS = 60
"""The time that an interrupted stage has to write its checkpoint."""


class Stage(NamedTuple):
    """A stage, and the fingerprint of its options and code and of those of all stages before it in its chain."""

    kind: str
    key: str
    fingerprint: str

    @property
    def built(self) -> bool:
        """Whether its result is there and was built with the same options, code and inputs."""
        mark = scratch_dir("slices") / self.kind / self.key
        return mark.exists() and mark.read_text() == self.fingerprint and result_dir(self.kind, self.key).exists()

    def set_built(self) -> None:
        """Mark the result as built."""
        mark = scratch_dir("slices") / self.kind / self.key
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(self.fingerprint)


def main() -> None:
    """Build until the time is up.

    Raises:
        SystemExit: the study is not valid, a stage failed, or work is left.
    """
    parser = argparse.ArgumentParser("python -m workflow.slices", description=__doc__)
    parser.add_argument("--minutes", type=float, default=9, help="the length of the slice (9)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="runs that are built side by side (1)")
    parser.add_argument("--without", nargs="+", default=[], metavar="KIND", help="kinds of stages to leave out")
    arguments = parser.parse_args()
    try:
        parts = parts_of(load_study(), arguments.without)
    except (ValueError, OSError) as error:
        sys.exit(f"workflow.slices: error: {error}")
    sys.exit(build(parts, time.monotonic() + 60 * arguments.minutes, arguments.jobs))


def parts_of(study: Study, without: Sequence[str]) -> list[list[list[Stage]]]:
    """List the parts of a study: datasets, runs, the report; a part has chains of stages that do not need each other.

    A run that begins from another one belongs to its chain.
    """
    datasets = [chain(study, [(kind, dataset) for kind in OF_A_DATASET], "") for dataset in study.datasets]
    images = "".join(stages[-1].fingerprint for stages in datasets)

    runs: dict[str, list[Stage]] = {}
    chains: dict[str, list[Stage]] = {}
    for run, options in study.runs.items():
        entries = [
            (kind, key) for kind in ENTRIES_OF_RUNS for key, entry in getattr(study, kind).items() if entry.run == run
        ]
        before = images + (runs[options.start][0].fingerprint if options.start else "")
        runs[run] = chain(study, [*((kind, run) for kind in OF_A_RUN), *entries], before)
        chains[run] = chains[options.start] if options.start else []
        chains[run] += runs[run]

    stages = [stage for part in [*datasets, *runs.values()] for stage in part]
    report = chain(study, [("report", "")], "".join(stage.fingerprint for stage in stages))
    separate = [chains[run] for run, options in study.runs.items() if not options.start]
    parts = [datasets, separate, [report]]
    return [[[stage for stage in stages if stage.kind not in without] for stages in part] for part in parts]


def chain(study: Study, stages: list[tuple[str, str]], before: str) -> list[Stage]:
    """Return stages that follow each other and what was built before, each with its fingerprint."""
    linked = []
    for kind, key in stages:
        text = record.text(record.record(study, kind, key))
        before = hashlib.sha256((before + text).encode()).hexdigest()
        linked.append(Stage(kind, key, before))
    return linked


def build(parts: list[list[list[Stage]]], deadline: float, jobs: int) -> int:
    """Build what is missing until the deadline, with `jobs` chains of a part side by side, and return the exit code.

    A chain in which a stage fails ends there; those beside it go on.
    """
    for part in parts:
        with ThreadPoolExecutor(jobs) as pool:
            codes = set(pool.map(partial(build_chain, deadline=deadline), part)) - {0}
        if failed := codes - {INTERRUPTED}:
            return failed.pop()
        if codes:
            stages = [stage for part in parts for stages in part for stage in stages]
            built = sum(stage.built for stage in stages)
            print(f"{built} of {len(stages)} stages are built; the same command goes on", file=sys.stderr)
            return INTERRUPTED
    return 0


def build_chain(stages: list[Stage], deadline: float) -> int:
    """Build what is missing of a chain until a stage fails or the deadline has come, and return the exit code."""
    for stage in stages:
        if stage.built:
            continue
        print(f"{stage.kind} {stage.key}", file=sys.stderr, flush=True)
        if code := run(stage, deadline):
            return INTERRUPTED if time.monotonic() >= deadline else code
        stage.set_built()
    return 0


def run(stage: Stage, deadline: float) -> int:
    """Run a stage until the deadline, then interrupt it; return its exit code."""
    if time.monotonic() >= deadline:
        return INTERRUPTED
    process = subprocess.Popen([sys.executable, "-m", f"stages.{stage.kind}", *([stage.key] if stage.key else [])])
    try:
        return process.wait(max(0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.terminate()
    try:
        return process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


if __name__ == "__main__":
    main()
