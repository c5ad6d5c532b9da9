"""The record of a stage: the effective options that it reads and the code that it runs, as text.

DVC and Snakemake take a stage as stale if its record, or the content of its inputs, is another than when its result was
made. Checkpoints are of one record, too.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from whole_in_parts.config.study import Study
from workflow.provenance import code
from workflow.provenance.options import KINDS, effective, implementations, keys, read_by

Hashes = Callable[[str, code.Chosen], dict[str, str]]


def record(study: Study, kind: str, key: str, hashes: Hashes = code.hashes) -> dict[str, Any]:
    """`options`, as the study has them in the same places, and `code`, the hash of each file by its path."""
    read = read_by(study, kind, key)
    return {"options": effective(read), "code": hashes(f"stages.{kind}", implementations(read))}


def text(content: dict[str, Any]) -> str:
    """The record as it is written."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def path(kind: str, key: str) -> Path:
    """Where the record of a stage is, within the results of `resolve`."""
    return Path(kind, f"{key}.json") if key else Path(f"{kind}.json")


def records(study: Study) -> Iterator[tuple[Path, str]]:
    """The path and the text of the record of each stage of a study."""
    known: dict[str, dict[str, str]] = {}

    def hashes(program: str, chosen: code.Chosen) -> dict[str, str]:
        """The code of a stage, which most stages of a kind share."""
        names = f"{program} {sorted((package, sorted(modules)) for package, modules in chosen.items())}"
        if names not in known:
            known[names] = code.hashes(program, chosen)
        return known[names]

    for kind in KINDS:
        for key in keys(study, kind):
            yield path(kind, key), text(record(study, kind, key, hashes))


def flat(name: str, value: object) -> dict[str, str]:
    """The values within a value, as JSON, by the keys that lead to them."""
    if not isinstance(value, dict | list) or not value:
        return {name: json.dumps(value)}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    prefix = f"{name}." if name else ""
    return {key: text for part, inner in items for key, text in flat(f"{prefix}{part}", inner).items()}
