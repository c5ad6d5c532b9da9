"""The stages of dvc.yaml for the Snakefile: what each writes and reads, and which are stale.

Content decides what is stale, and DVC knows it. Snakemake decides by modification times, so each stage has a mark
among its inputs: a file that is new if the stage is stale and older than everything if it is not.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, NamedTuple

from dvc.dependency import param
from dvc.fs import FileSystem
from dvc.output import Output
from dvc.repo import Repo
from dvc_data.hashfile.hash_info import HashInfo

MARKS = Path(".snakemake/stale")


class Stage(NamedTuple):
    """One resolved stage, such as `linear@co_byol`, and what it reads: outputs of other stages and plain files."""

    address: str
    deps: list[str]

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


class Stages:
    """All stages by their output, and the outputs of those that are stale.

    A job of a cluster is told what to run and does not ask which are stale: DVC would refuse to look at what another
    job is writing.
    """

    def __init__(self, ask: bool = True) -> None:
        with Repo() as repo, read_once():
            self.by_output = {stage.output: stage for stage in _resolved(repo)}
            self._within = self._outputs_within()
            self.stale = self._stale(repo) if ask else set()

    def kinds(self) -> dict[str, bool]:
        """The kinds of stages, in the order of dvc.yaml, and whether a kind has keys."""
        return {stage.kind: stage.keyed for stage in self.by_output.values()}

    def inputs(self, output: str) -> Iterator[str]:
        """What a stage reads, as Snakemake has to know it: the outputs of other stages, and plain files."""
        for dep in self.by_output[output].deps:
            yield from self._within.get(dep) or [self._around(dep) or dep]

    def mark(self, output: str) -> str:
        """The mark of a stage, as it was set when the workflow was read."""
        return str(MARKS / output)

    def set_marks(self) -> None:
        """Make the marks of stale stages new in time and content, and all others older than everything."""
        for output in self.by_output:
            file = MARKS / output
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(str(time.time()) if output in self.stale else "")
            if output not in self.stale:
                os.utime(file, (0, 0))

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

    def _stale(self, repo: Repo) -> set[str]:
        missing = {out for out in self.by_output if not Path(out).exists()}
        return self._followers(missing | _changed(repo))

    def _followers(self, stale: set[str]) -> set[str]:
        """The stale stages and all that follows from them."""
        readers: dict[str, list[str]] = {}
        for output in self.by_output:
            for read in self.inputs(output):
                readers.setdefault(read, []).append(output)
        found, left = set(stale), list(stale)
        while left:
            more = [reader for reader in readers.get(left.pop(), []) if reader not in found]
            found.update(more)
            left += more
        return found


def _resolved(repo: Repo) -> Iterator[Stage]:
    """The stages of dvc.yaml, templates resolved.

    Raises:
        ValueError: a stage writes anything but `results/<kind>/<key>`.
    """
    for stage in repo.index.stages:
        resolved = Stage(stage.addressing, [dep.def_path for dep in stage.deps if dep not in stage.params])
        if [out.def_path for out in stage.outs] != [resolved.output]:
            raise ValueError(f"dvc.yaml: stage {stage.addressing} must write {resolved.output} and nothing else")
        yield resolved


def _changed(repo: Repo) -> set[str]:
    with repo.lock:
        return {Stage(stage.addressing, []).output for stage in repo.index.stages if stage.status(check_updates=True)}


@contextmanager
def read_once() -> Iterator[None]:
    """Let DVC read what many stages depend on once for all of them: a study of 300 runs has 2,700 stages.

    For each stage DVC would hash its files, parse the parameters, 50,000 lines of them, and look at every key there for
    each that the stage names. The time would grow with the square of the number of stages.
    """
    with attribute(param, "read_param_file", _params_once()), attribute(Output, "get_hash", _hash_once()):
        yield


@contextmanager
def attribute(owner: object, name: str, value: object) -> Iterator[None]:
    """Let an attribute have another value for a while."""
    genuine = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, genuine)


def _params_once() -> Callable[..., dict[str, Any]]:
    read, parsed = param.read_param_file, {}

    def once(fs: FileSystem, path: str, key_paths: list[str] | None, flatten: bool) -> dict[str, Any]:
        if path not in parsed:
            parsed[path] = read(fs, path)
        found = {}
        for key in key_paths or []:
            with suppress(KeyError, TypeError):
                found[key] = reduce(getitem, key.split("."), parsed[path])
        return found if key_paths else parsed[path]

    return once


def _hash_once() -> Callable[[Output], HashInfo]:
    get_hash, known = Output.get_hash, {}

    def once(out: Output) -> HashInfo:
        key = out.fs_path, out.hash_name
        if key not in known:
            known[key] = get_hash(out)
        return known[key]

    return once
