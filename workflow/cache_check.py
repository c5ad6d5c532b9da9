"""Check cached results before a job restores them: DVC itself trusts an object of its cache because of its name.

A disk that lost a bit, or a copy that was cut short, would come back as a result that is up to date. Here an object
whose bytes are not those of its name is removed from the cache with a line that says so, and the stage runs again.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from dvc.repo import Repo
from dvc.stage import PipelineStage

DIRECTORY = ".dir"
"""The ending of the name of an object that lists the files of a directory."""


def check_restored(repo: Repo) -> None:
    """Make a repository check the objects of a stage before it restores the stage from its cache."""
    restore = repo.stage_cache.restore

    def checked(stage: PipelineStage, **options: object) -> None:
        stage.save_deps()
        for path in {*damaged(repo, stage)}:
            print(f"{path}: damaged in the cache, and removed; {stage.addressing} runs again", file=sys.stderr)
            path.unlink(missing_ok=True)
        restore(stage, **options)

    repo.stage_cache.restore = checked


def damaged(repo: Repo, stage: PipelineStage) -> Iterator[Path]:
    """Yield the cached objects of the outputs of a stage whose bytes are not those of their names."""
    recorded = [out.hash_info.value for out in stage.outs if out.hash_info]
    entry = repo.stage_cache._load(stage) or {"outs": []}
    for name in dict.fromkeys([*recorded, *(out["md5"] for out in entry["outs"])]):
        yield from _damaged_of(repo, name)


def _damaged_of(repo: Repo, name: str) -> Iterator[Path]:
    """Yield an object, and those of the files that it lists, if they are damaged."""
    path = Path(repo.cache.local.oid_to_path(name))
    if not path.exists():
        return
    if _md5(path) != name.removesuffix(DIRECTORY):
        yield path
    elif name.endswith(DIRECTORY):
        for file in json.loads(path.read_text(encoding="utf-8")):
            yield from _damaged_of(repo, file["md5"])


def _md5(path: Path) -> str:
    """Return the md5 of a file, by which DVC names it."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
