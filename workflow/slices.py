"""Build the study of params.yaml without DVC and Snakemake, in slices of time: `python -m workflow.slices --minutes 9`.

For a machine that is lent for minutes and has neither engine. The stages of one run follow each other, so that each
slice ends with whole runs. When the time is up, a training is interrupted and keeps its checkpoint, and the same
command goes on. The exit code is 0 if all is built, and 75 (EX_TEMPFAIL) if something is left.
"""

import argparse
import hashlib
import subprocess
import sys
import time
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
    parser.add_argument("--without", nargs="+", default=[], metavar="KIND", help="kinds of stages to leave out")
    arguments = parser.parse_args()
    try:
        stages = [stage for stage in in_order(load_study()) if stage.kind not in arguments.without]
    except (ValueError, OSError) as error:
        sys.exit(f"workflow.slices: error: {error}")
    sys.exit(build(stages, time.monotonic() + 60 * arguments.minutes))


def in_order(study: Study) -> list[Stage]:
    """List all stages in the order in which they are built: datasets, then run by run, then the report."""
    datasets = [chain(study, [(kind, dataset) for kind in OF_A_DATASET], "") for dataset in study.datasets]
    images = "".join(stages[-1].fingerprint for stages in datasets)

    runs: dict[str, list[Stage]] = {}
    for run, options in study.runs.items():
        entries = [
            (kind, key) for kind in ENTRIES_OF_RUNS for key, entry in getattr(study, kind).items() if entry.run == run
        ]
        before = images + (runs[options.start][0].fingerprint if options.start else "")
        runs[run] = chain(study, [*((kind, run) for kind in OF_A_RUN), *entries], before)

    stages = [stage for part in [*datasets, *runs.values()] for stage in part]
    return stages + chain(study, [("report", "")], "".join(stage.fingerprint for stage in stages))


def chain(study: Study, stages: list[tuple[str, str]], before: str) -> list[Stage]:
    """Return stages that follow each other and what was built before, each with its fingerprint."""
    linked = []
    for kind, key in stages:
        text = record.text(record.record(study, kind, key))
        before = hashlib.sha256((before + text).encode()).hexdigest()
        linked.append(Stage(kind, key, before))
    return linked


def build(stages: list[Stage], deadline: float) -> int:
    """Build what is missing until the deadline, and return the exit code."""
    for number, stage in enumerate(stages, 1):
        if stage.built:
            continue
        print(f"[{number}/{len(stages)}] {stage.kind} {stage.key}", file=sys.stderr, flush=True)
        code = run(stage, deadline)
        if code and time.monotonic() < deadline:
            return code
        if code:
            print(f"{number - 1} of {len(stages)} stages are built; the same command goes on", file=sys.stderr)
            return INTERRUPTED
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
