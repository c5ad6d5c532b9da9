"""The stages of dvc.yaml for the Snakefile: what each writes and reads, and which are stale.

Content decides what is stale, and DVC knows it. Snakemake decides by modification times, so each stage has a mark
among its inputs: a file that is new if the stage is stale and older than everything if it is not.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc_data.hashfile.hash_info import HashInfo

from whole_in_parts.config.study import Study
from workflow.dvc_lock import locked
from workflow.lockfile import LOCKFILE
from workflow.provenance.record import records
from workflow.read_once import read_once

MARKS = Path(".snakemake/stale")
RECORDS = "results/resolve"
"""What the first stage writes: of each stage the options and the code that it depends on."""


@dataclass(frozen=True)
class Stage:
    """One resolved stage, such as `linear@co_byol`: its command, what it reads, and whether it is to run.

    It reads outputs of other stages and plain files. A stage that is `forced` runs even if nothing has changed.
    """

    address: str
    cmd: str
    deps: list[str]
    stale: bool = False
    forced: bool = False

    @property
    def kind(self) -> str:
        return self.address.partition("@")[0]

    @property
    def output(self) -> str:
        """The one directory that the stage writes, `results/linear/co_byol`: the name is the place."""
        return f"results/{self.address.replace('@', '/')}"

    @property
    def keyed(self) -> bool:
        return "@" in self.address

    @property
    def mark(self) -> Path:
        """The file that tells Snakemake whether the stage is stale, and a job all that it has to know of it."""
        return MARKS / f"{self.output}.json"

    def write_mark(self) -> None:
        """Make the mark new in time and content if the stage is stale, and older than everything if it is not."""
        self.mark.parent.mkdir(parents=True, exist_ok=True)
        now = time.time() if self.stale else 0
        self.mark.write_text(json.dumps(asdict(self) | {"since": now}))
        if not self.stale:
            os.utime(self.mark, (0, 0))

    @classmethod
    def read_mark(cls, file: Path) -> Self:
        content = json.loads(file.read_text())
        del content["since"]
        return cls(**content)


class Stages:
    """The stages of a study by their output."""

    def __init__(self, stages: Iterable[Stage]) -> None:
        self.by_output = {stage.output: stage for stage in stages}
        self._within = self._outputs_within()

    @classmethod
    def ask(cls, study: Study) -> Self:
        """Ask DVC what the stages are and which have changed, and leave a mark of each.

        What counts is what params.yaml says now, whatever the records on the disk say.
        """
        with Repo() as repo:
            stages = cls(_resolved(repo))
            _name_strangers(repo)
            changed = _changed(repo, study)
        missing = {output for output in stages.by_output if not Path(output).exists()}
        for stage in stages.by_output.values():
            stage.write_mark()
        stages._mark(changed | missing)
        return stages

    def force(self, names: Collection[str], everything: bool = False) -> None:
        """Let stages run even if nothing has changed: those of some kinds or outputs, or all; others may follow."""
        asked = {*self.by_output} if everything else {*names}
        if not asked:
            return
        new = {output for output, stage in self.by_output.items() if {output, stage.kind} & asked and not stage.forced}
        if new:
            self._mark(new, forced=True)

    def _mark(self, outputs: set[str], forced: bool = False) -> None:
        """Take stages as stale, with all that follows from them."""
        for output in self._followers(outputs):
            stage = self.by_output[output]
            changed = replace(stage, stale=True, forced=stage.forced or (forced and output in outputs))
            changed.write_mark()
            self.by_output[output] = changed

    @classmethod
    def handed_down(cls) -> Self:
        """The stages as the main process has marked them, for a job on a cluster.

        It does not ask DVC, which would refuse to look at what another job is writing.
        """
        return cls(Stage.read_mark(file) for file in sorted(MARKS.rglob("*.json")))

    def kinds(self) -> dict[str, bool]:
        """The kinds of stages, in the order of dvc.yaml, and whether a kind has keys."""
        return {stage.kind: stage.keyed for stage in self.by_output.values()}

    def inputs(self, output: str) -> Iterator[str]:
        """What a stage reads, as Snakemake has to know it: the outputs of other stages, and plain files."""
        for dep in self.by_output[output].deps:
            yield from self._within.get(dep) or [self._around(dep) or dep]

    def _outputs_within(self) -> dict[str, list[str]]:
        """The outputs that each folder holds or is: `results/linear` holds those of a whole kind."""
        within: dict[str, list[str]] = {}
        for output in self.by_output:
            for folder in (output, *map(str, Path(output).parents)):
                within.setdefault(folder, []).append(output)
        return within

    def _around(self, dep: str) -> str | None:
        """The output that a dependency lies inside."""
        return next((folder for folder in map(str, Path(dep).parents) if folder in self.by_output), None)

    def _followers(self, stale: set[str]) -> set[str]:
        """The stale stages and all that follows from them, but for what follows from the records alone."""
        readers: dict[str, list[str]] = {}
        for output in self.by_output:
            for read in self.inputs(output):
                readers.setdefault(read, []).append(output)
        readers.pop(RECORDS, None)
        found = set(stale)
        waiting = list(stale)
        while waiting:
            more = [reader for reader in readers.get(waiting.pop(), []) if reader not in found]
            found.update(more)
            waiting += more
        return found


def _resolved(repo: Repo) -> Iterator[Stage]:
    """The stages of dvc.yaml, templates resolved.

    Raises:
        ValueError: dvc.lock is damaged, or a stage writes anything but `results/<kind>/<key>`.
    """
    try:
        resolved_by_dvc = repo.index.stages
    except DvcException as error:
        message = " ".join(str(error).split())
        if str(LOCKFILE) in message:
            message += f"; to go back: git checkout {LOCKFILE}, or remove it, and results come back from the cache"
        raise ValueError(message) from None
    for stage in resolved_by_dvc:
        resolved = Stage(stage.addressing, stage.cmd, [dep.def_path for dep in stage.deps])
        if [out.def_path for out in stage.outs] != [resolved.output]:
            raise ValueError(f"dvc.yaml: stage {stage.addressing} must write {resolved.output} and nothing else")
        yield resolved


def _name_strangers(repo: Repo) -> None:
    """Say which stages dvc.lock records that the study does not have."""
    own = {stage.addressing for stage in repo.index.stages}
    recorded = next(iter(repo.index.stages)).dvcfile.lockfile_contents.get("stages", {})
    if strangers := [name for name in recorded if name not in own]:
        what = f"{len(strangers)} stages that params.yaml does not have, such as {strangers[0]}"
        why = f"of another study or of entries that are gone; they do no harm, and git checkout {LOCKFILE} undoes them"
        print(f"{LOCKFILE}: records {what}: {why}", file=sys.stderr, flush=True)


def _changed(repo: Repo, study: Study) -> set[str]:
    """The outputs of the stages that DVC would call changed if the records were up to date."""
    contents = {
        f"{RECORDS}/{path}": HashInfo("md5", hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())
        for path, text in records(study)
    }
    with locked(repo), read_once(contents):
        return {
            f"results/{stage.addressing.replace('@', '/')}"
            for stage in repo.index.stages
            if stage.status(check_updates=True)
        }
