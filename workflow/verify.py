"""Check that every result is what dvc.lock says of it, and evaluate some again: `make verify`.

For each stage of the study: its options and code are those of its record; the bytes of its inputs and of its result,
all read again, have the hashes of dvc.lock. A result that was edited is found, also if its size and its time were kept.
Then one stage of each evaluation is run again in a folder aside, and its metrics are compared.
"""

import argparse
import hashlib
import json
import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from whole_in_parts.config.params_file import Loader
from whole_in_parts.config.study import PARAMS, Study, load_study
from whole_in_parts.failure import Failure
from whole_in_parts.report.asked import EVALUATIONS
from whole_in_parts.results import RESULTS, result_dir
from workflow.evidence import importable
from workflow.lockfile import LOCKFILE
from workflow.provenance.options import keys
from workflow.provenance.record import records

NOT_IN_A_RESULT = ".snakemake_timestamp"
"""Snakemake's note in a result; `.dvcignore` names it."""
POINTS = 0.5
"""By how much an accuracy in per cent may differ when it is measured again, on another processor."""

Lock = dict[str, dict[str, Any]]


def main() -> None:
    """Print what is wrong.

    Raises:
        SystemExit: something is wrong, or there is nothing to verify.
    """
    parser = argparse.ArgumentParser("python -m workflow.verify", description=__doc__)
    parser.add_argument("--again", type=int, default=1, metavar="N", help="stages of each evaluation to run again (1)")
    again = parser.parse_args().again
    try:
        study = load_study()
        lock = recorded()
        problems = [*altered(lock), *outdated(study)]
        for kind in EVALUATIONS:
            for key in [key for key in keys(study, kind) if f"{kind}@{key}" in lock][:again]:
                problems += evaluated_again(kind, key)
    except (Failure, ValueError, OSError) as error:
        sys.exit(f"workflow.verify: error: {error}")

    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(lock)} stages verified: bytes, options and code are those of {LOCKFILE}")


def recorded() -> Lock:
    """Read dvc.lock.

    Raises:
        Failure: there is none.
    """
    if not LOCKFILE.exists():
        raise Failure(f"{LOCKFILE}: not found; build the study first, or: git checkout {LOCKFILE}")
    stages: Lock = yaml.load(LOCKFILE.read_text(encoding="utf-8"), Loader)["stages"]
    return stages


def altered(lock: Lock) -> Iterator[str]:
    """Yield the results whose bytes are not those of dvc.lock, and the stages that had other inputs."""
    known: dict[str, str | None] = {}
    for address, stage in lock.items():
        for out in stage.get("outs", []):
            known[out["path"]] = found = content_hash(Path(out["path"]))
            if found is None:
                yield f"{out['path']}: missing, though {LOCKFILE} has it; dvc pull, or build the study"
            elif found != out["md5"]:
                yield f"{out['path']}: its bytes are not those that {LOCKFILE} says of {address} ({out['md5']})"

    right = {out["path"]: out["md5"] for stage in lock.values() for out in stage.get("outs", [])}
    for address, stage in lock.items():
        for dep in stage.get("deps", []):
            path = dep["path"]
            if path.startswith(f"{RESULTS}/"):
                expected = right.get(path) or known.setdefault(path, content_hash(Path(path)))
                if dep["md5"] != expected:
                    yield f"{address}: was built from other bytes of {path} than are there; build the study again"


def content_hash(path: Path) -> str | None:
    """Return the md5 of a file, or of a directory as DVC hashes it; None if there is none."""
    if path.is_file():
        return md5(path.read_bytes())
    if not path.is_dir():
        return None
    files = sorted((file.relative_to(path).parts, file) for file in path.rglob("*") if file.is_file())
    entries = [
        {"md5": md5(file.read_bytes()), "relpath": "/".join(parts)}
        for parts, file in files
        if file.name != NOT_IN_A_RESULT
    ]
    return md5(json.dumps(entries, sort_keys=True).encode()) + ".dir"


def md5(content: bytes) -> str:
    """Return the md5, by which DVC names content."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def outdated(study: Study) -> list[str]:
    """Return a line if stages have other options or code than their record says."""
    files = {result_dir("resolve") / path: text for path, text in records(study)}
    changed = [str(file) for file, text in files.items() if not file.exists() or file.read_text("utf-8") != text]
    if not changed:
        return []
    return [f"{changed[0]}: options or code have changed since, as of {len(changed) - 1} others; build the study again"]


def evaluated_again(kind: str, key: str) -> list[str]:
    """Run a stage in a folder aside, and say how its metrics differ from those of its result."""
    print(f"evaluating {kind} {key} again", file=sys.stderr, flush=True)
    kept = result_dir(kind, key) / "metrics.json"
    with tempfile.TemporaryDirectory() as folder:
        aside = Path(folder)
        link_results(aside, result_dir(kind, key))
        shutil.copy(PARAMS, aside)
        command = [sys.executable, "-m", f"stages.{kind}", key]
        ended = subprocess.run(command, cwd=aside, env=importable(), capture_output=True, text=True, check=False)
        if ended.returncode:
            return [f"{kept}: cannot be measured again: {ended.stderr.strip().splitlines()[-1]}"]
        found = json.loads((aside / kept).read_text())

    return [
        f"{kept}: {name} is {value}, and measured again {found.get(name)}"
        for name, value in json.loads(kept.read_text()).items()
        if not agree(value, found.get(name))
    ]


def link_results(folder: Path, without: Path) -> None:
    """Link all results into a folder, without one."""
    for kind in (path for path in RESULTS.iterdir() if path.is_dir()):
        (folder / kind).mkdir(parents=True)
        for result in kind.iterdir():
            if result != without:
                (folder / result).symlink_to(result.resolve())


def agree(value: object, again: object) -> bool:
    """Return whether two metrics are equal but for what another processor's rounding may change."""
    if isinstance(value, int | float) and isinstance(again, int | float):
        return math.isclose(value, again, rel_tol=1e-2, abs_tol=POINTS)
    return value == again


if __name__ == "__main__":
    main()
