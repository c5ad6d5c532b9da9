"""Run and record one stage, as `dvc repro --single-item` does, with an overhead that does not grow with the study.

A job of Snakemake runs `python -m workflow.job KIND@KEY`. DVC's command reads the whole study and all of dvc.lock for a
stage; this program reads the stage from its mark, which the Snakefile wrote, and replaces its record in dvc.lock. The
run cache is DVC's own. An untested version of DVC runs by its own command instead.
"""

import argparse
import os
import signal
import sys
import threading
import time

import dvc
import psutil
from dvc.dvcfile import load_file
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc.stage.loader import StageLoader
from dvc.stage.serialize import to_lockfile

from workflow import lockfile
from workflow.dvc_lock import locked, when_free
from workflow.dvc_stages import MARKS, Stage
from workflow.verified import verified_hashes, verified_objects

TESTED = ("3.67.",)
"""Versions of DVC with the internals that this module uses."""

GRACE_SECONDS = 30.0
"""The time between SIGTERM and SIGKILL for a stage whose Snakemake process has died."""


def main() -> None:
    """Run the stage that the command line names.

    Raises:
        SystemExit: the stage failed, or another process holds its lock.
    """
    parser = argparse.ArgumentParser("python -m workflow.job", description=__doc__)
    parser.add_argument("address", help="a stage of dvc.yaml, KIND@KEY")
    parser.add_argument("--snakemake", type=int, help="the process id of Snakemake, with which the job ends")
    arguments = parser.parse_args()

    stage = Stage.read_mark(MARKS / f"results/{arguments.address.replace('@', '/')}.json")
    if arguments.snakemake:
        threading.Thread(target=end_with, args=[arguments.snakemake], daemon=True).start()

    if not dvc.__version__.startswith(TESTED):
        run_by_command(stage)
    try:
        when_free(lambda: run(stage))
    except (DvcException, OSError) as error:
        sys.exit(f"{stage.address}: {' '.join(str(error).split())}")


def run_by_command(stage: Stage) -> None:
    """Replace this process by DVC's own command for the stage."""
    force = ["--force"] if stage.forced else []
    os.execvp("dvc", ["dvc", "--wait-for-lock", "repro", "--single-item", *force, stage.address])


def run(stage: Stage) -> None:
    """Run a stage by DVC if it has changed, and record it; of the cache, only what is undamaged is restored.

    Raises:
        DvcException: the stage failed, or another process holds its lock.
    """
    with Repo() as repo, locked(repo), verified_objects(), verified_hashes(repo), repo.scm_context(quiet=True):
        resolved = resolve(repo, stage)
        if resolved.reproduce(force=stage.forced):
            record(repo, resolved)


def resolve(repo: Repo, stage: Stage) -> PipelineStage:
    """Build DVC's stage object, with its record in dvc.lock."""
    content = {"cmd": stage.cmd, "deps": stage.deps, "outs": stage.outs}
    file = load_file(repo, "dvc.yaml")
    try:
        recorded = lockfile.read(stage.address)
    except lockfile.UnknownForm:
        recorded = file._lockfile.load().get("stages", {}).get(stage.address, {})
    return StageLoader.load_stage(file, stage.address, content, recorded)


def record(repo: Repo, stage: PipelineStage) -> None:
    """Write the record of a stage to dvc.lock."""
    try:
        lockfile.write(stage.name, to_lockfile(stage)[stage.name])
    except lockfile.UnknownForm:
        stage.dump(update_pipeline=False)
    repo.scm_context.track_file(str(lockfile.LOCKFILE))


def end_with(snakemake: int) -> None:
    """Wait until Snakemake's process has ended; then end the child processes and this job, with exit code 1."""
    while _is_alive(snakemake):
        time.sleep(0.5)
    print(f"Snakemake's process {snakemake} has ended; this stage ends, too", file=sys.stderr, flush=True)

    deadline = time.monotonic() + GRACE_SECONDS
    number = signal.SIGTERM
    while children := psutil.Process().children(recursive=True):
        for child in children:
            try:
                child.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(children, timeout=max(0.0, deadline - time.monotonic()))
        number = signal.SIGKILL
    os._exit(1)


def _is_alive(process: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    main()
