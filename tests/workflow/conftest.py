"""A small study, built once by Snakemake from the working tree, for all processes that test; they work on copies."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

ROOT = Path(__file__).parents[2]
TRACING = ROOT / "tests/workflow/tracing"
"""What lists the files that a stage opens, for test_traced.py."""

IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Test"), ("EMAIL", "test@example.org"))
}


class Checkout:
    """A copy of the project with a study in it, and the commands that its users type."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def environment(self, **more: str) -> dict[str, str]:
        tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return os.environ | IDENTITY | {"PATH": tools, "DVC_NO_ANALYTICS": "1", "COLUMNS": "200"} | more

    def run(self, *command: str, fails: bool = False, **environment: str) -> str:
        """What a command prints, on either stream; it has to succeed, or to fail."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(**environment),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert (done.returncode != 0) == fails, f"{' '.join(command)}\n{done.stdout}"
        return done.stdout

    def edit(self, change: Callable[[dict], object]) -> None:
        """Change the study."""
        study = yaml.safe_load((self / "params.yaml").read_text())
        change(study)
        (self / "params.yaml").write_text(yaml.safe_dump(study, sort_keys=False))

    def commit(self) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", "as it is")

    def copy(self, folder: Path) -> "Checkout":
        shutil.copytree(self.folder, folder, symlinks=True)
        return Checkout(folder)

    def would_run(self) -> set[str]:
        """The results that Snakemake would build."""
        printed = self.run("snakemake", "-n")
        return set(re.findall(r"^Job \d+: (\S+)$", printed, re.MULTILINE))

    def reproduce(self) -> set[str]:
        """The results that `dvc repro` builds."""
        printed = self.run("dvc", "repro")
        return {address.replace("@", "/") for address in re.findall(r"^Running stage '(.+)':$", printed, re.MULTILINE)}


def checkout(folder: Path) -> Checkout:
    """The files of the working tree that git knows or would add, as a repository of its own, with the small study."""
    listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / "dvc.lock").unlink(missing_ok=True)
    shutil.copy(ROOT / "workflow/studies/small.yaml", folder / "params.yaml")
    made = Checkout(folder)
    made.run("git", "init", "--quiet", ".")
    made.commit()
    return made


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Checkout:
    """The small study as Snakemake builds it. Do not change it: copy it."""
    own = tmp_path_factory.getbasetemp()
    shared = own if worker_id == "master" else own.parent
    with FileLock(shared / "built.lock"):
        if not (shared / "built").exists():
            made = checkout(tmp_path_factory.mktemp("building"))
            trace = made / "trace"
            trace.mkdir()
            (trace / "folder").write_text(str(made.folder))
            made.run("snakemake", "--cores", "all", TRACE=str(trace), PYTHONPATH=str(TRACING))
            made.commit()
            made.folder.rename(shared / "built")
    return Checkout(shared / "built")


@pytest.fixture
def study(built: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the built study, to change at will."""
    return built.copy(tmp_path / "study")
