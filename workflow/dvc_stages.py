"""Read the stages of dvc.yaml for the Snakefile: their inputs and outputs, and which of them are stale.

DVC decides by content which stages are stale; Snakemake decides by modification times. So every stage has a mark among
its inputs: a file that is new if the stage is stale, and older than all other files if it is not.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
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
from workflow.verified import verified_hashes

MARKS = Path(".snakemake/stale")
RECORDS = "results/resolve"
"""The output of the first stage: records of the options and the code of every stage."""


@dataclass(frozen=True)
class Stage:
    """A resolved stage, such as `linear@co_byol`: its command, dependencies and outputs, and whether it must run.

    Dependencies are outputs of other stages and plain files. A `forced` stage runs even if nothing has changed.
    """

    address: str
    cmd: str
    deps: list[str]
    outs: list[str]
    """`results/<kind>/<key>`, and of the first stage files beside it."""
    after: list[str] = field(default_factory=list)
    """Outputs of other stages that are built before, though dvc.yaml does not name them."""
    stale: bool = False
    forced: bool = False

    @property
    def kind(self) -> str:
        """The kind of the stage, `linear`."""
        return self.address.partition("@")[0]

    @property
    def output(self) -> str:
        """The directory that the stage writes, `results/linear/co_byol`."""
        return output_of(self.address)

    @property
    def keyed(self) -> bool:
        """Whether the kind has a stage per key."""
        return "@" in self.address

    @property
    def mark(self) -> Path:
        """The file whose time marks the stage as stale or not, and whose content describes the stage to its job."""
        return MARKS / f"{self.output}.json"

    def write_mark(self) -> None:
        """Write a mark that is new in time and content if the stage is stale, and dated 1970 if it is not."""
        self.mark.parent.mkdir(parents=True, exist_ok=True)
        now = time.time() if self.stale else 0
        self.mark.write_text(json.dumps(asdict(self) | {"since": now}))
        if not self.stale:
            os.utime(self.mark, (0, 0))

    @classmethod
    def read_mark(cls, file: Path) -> Self:
        """Read a stage from its mark."""
        content = json.loads(file.read_text())
        del content["since"]
        return cls(**content)


class Stages:
    """The stages of a study, by output."""

    def __init__(self, stages: Iterable[Stage]) -> None:
        self.by_output = {stage.output: stage for stage in stages}
        self._within = self._outputs_within()

    @classmethod
    def from_dvc(cls, study: Study) -> Self:
        """Read the stages and their status from DVC, and write their marks.

        The status follows from the current params.yaml and code, not from the records on the disk.
        """
        with Repo() as repo:
            stages = cls(_resolved(repo, study))
            _report_unknown_records(repo)
            changed = _changed(repo, study)

        missing = {output for output in stages.by_output if not Path(output).exists()}
        for stage in stages.by_output.values():
            stage.write_mark()
        stages._mark(changed | missing)
        return stages

    def force(self, names: Collection[str], everything: bool = False) -> None:
        """Force stages to run, by kinds or outputs, or all of them; stages that depend on them become stale."""
        selected = {*self.by_output} if everything else {*names}
        if not selected:
            return
        new = {
            output for output, stage in self.by_output.items() if {output, stage.kind} & selected and not stage.forced
        }
        if new:
            self._mark(new, forced=True)

    def _mark(self, outputs: set[str], forced: bool = False) -> None:
        """Mark stages as stale, with all stages that depend on them."""
        for output in self._with_dependents(outputs):
            stage = self.by_output[output]
            stale = replace(stage, stale=True, forced=stage.forced or (forced and output in outputs))
            stale.write_mark()
            self.by_output[output] = stale

    @classmethod
    def from_marks(cls) -> Self:
        """Read the stages from the marks of the main process, for a job on a cluster.

        DVC cannot compute a status here, since it refuses to read the outputs that other jobs are writing.
        """
        return cls(Stage.read_mark(file) for file in sorted(MARKS.rglob("*.json")))

    def unknown(self, output: str) -> str:
        """Return the message for a target that is no output of a stage: the nearest that are."""
        nearest = get_close_matches(output, self.by_output, cutoff=0.5)
        return f"{output}: the study has no such result; the nearest are: {', '.join(nearest or self.by_output)}"

    def kinds(self) -> dict[str, bool]:
        """List the kinds of stages, in the order of dvc.yaml, with whether a kind has keys."""
        return {stage.kind: stage.keyed for stage in self.by_output.values()}

    def inputs(self, output: str) -> Iterator[str]:
        """List the inputs of a stage for Snakemake: outputs of other stages, and plain files."""
        stage = self.by_output[output]
        for dep in [*stage.deps, *stage.after]:
            yield from self._within.get(dep) or [self._enclosing_output(dep) or dep]

    def _outputs_within(self) -> dict[str, list[str]]:
        """Map every folder to the outputs that it contains or is: `results/linear` contains the outputs of a kind."""
        within: dict[str, list[str]] = {}
        for output, stage in self.by_output.items():
            folders = dict.fromkeys(str(folder) for out in stage.outs for folder in (Path(out), *Path(out).parents))
            for folder in folders:
                within.setdefault(folder, []).append(output)
        return within

    def _enclosing_output(self, dep: str) -> str | None:
        """Find the output that contains a dependency."""
        return next((folder for folder in map(str, Path(dep).parents) if folder in self.by_output), None)

    def _with_dependents(self, stale: set[str]) -> set[str]:
        """Add the stages that depend on stale ones, directly or not; the records of all stages do not propagate."""
        readers: dict[str, list[str]] = {}
        for output in self.by_output:
            for path in self.inputs(output):
                readers.setdefault(path, []).append(output)
        readers.pop(RECORDS, None)

        dependents = set(stale)
        queue = list(stale)
        while queue:
            new = [reader for reader in readers.get(queue.pop(), []) if reader not in dependents]
            dependents.update(new)
            queue += new
        return dependents


def _resolved(repo: Repo, study: Study) -> Iterator[Stage]:
    """List the stages of dvc.yaml, with templates resolved, and with the runs that others begin with as dependencies.

    Raises:
        ValueError: dvc.lock is damaged, or a stage writes another path than `results/<kind>/<key>`.
    """
    try:
        resolved_by_dvc = repo.index.stages
    except DvcException as error:
        message = " ".join(str(error).split())
        if str(LOCKFILE) in message:
            message += f"; to go back: git checkout {LOCKFILE}, or remove it, and results come back from the cache"
        raise ValueError(message) from None

    for stage in resolved_by_dvc:
        address = stage.addressing
        deps, outs = ([path.def_path for path in paths] for paths in (stage.deps, stage.outs))
        if output_of(address) not in outs or (len(outs) > 1 and address != "resolve"):
            raise ValueError(f"dvc.yaml: stage {address} must write {output_of(address)} and nothing else")
        yield Stage(address, stage.cmd, deps, outs, after=_built_before(address, study))


def output_of(address: str) -> str:
    """Return the directory that a stage writes, such as `results/linear/co_byol` for `linear@co_byol`."""
    return f"results/{address.replace('@', '/')}"


def _built_before(address: str, study: Study) -> list[str]:
    """List the results that a stage needs and dvc.yaml cannot name: the run that a training begins with."""
    kind, _, key = address.partition("@")
    start = study.runs[key].start if kind == "pretrain" else None
    return [f"results/pretrain/{start}"] if start else []


def _report_unknown_records(repo: Repo) -> None:
    """Report stages that dvc.lock records and the study does not have."""
    names = {stage.addressing for stage in repo.index.stages}
    recorded = next(iter(repo.index.stages)).dvcfile.lockfile_contents.get("stages", {})
    if unknown := [name for name in recorded if name not in names]:
        count = f"{len(unknown)} stages that params.yaml does not have, such as {unknown[0]}"
        reason = f"of another study or of removed entries; they do no harm, and git checkout {LOCKFILE} removes them"
        print(f"{LOCKFILE}: records {count}: {reason}", file=sys.stderr, flush=True)


def _changed(repo: Repo, study: Study) -> set[str]:
    """List the outputs of the stages that DVC reports as changed, given up-to-date records."""
    contents = {
        f"{RECORDS}/{path}": HashInfo("md5", hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())
        for path, text in records(study)
    }
    with locked(repo), verified_hashes(repo), read_once(contents):
        return {output_of(stage.addressing) for stage in repo.index.stages if stage.status(check_updates=True)}
