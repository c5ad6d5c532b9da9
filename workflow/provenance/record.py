"""The record of a stage: its effective options and the hashes of its code, as text.

DVC and Snakemake treat a stage as stale if its record or the content of its inputs differs from that of its result.
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
    """Build a record: `options`, nested as in params.yaml, and `code`, the hash of every file by its path."""
    read = read_by(study, kind, key)
    return {"options": effective(read), "code": hashes(f"stages.{kind}", implementations(read))}


def text(content: dict[str, Any]) -> str:
    """Format a record as it is written to its file."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def path(kind: str, key: str) -> Path:
    """Return the path of a record within the results of `resolve`."""
    return Path(kind, f"{key}.json") if key else Path(f"{kind}.json")


def records(study: Study) -> Iterator[tuple[Path, str]]:
    """List the path and the text of the records of all stages of a study."""
    known: dict[str, dict[str, str]] = {}

    def hashes(program: str, chosen: code.Chosen) -> dict[str, str]:
        """Hash the code of a stage; a cache serves the stages with the same code."""
        key = f"{program} {sorted((package, sorted(modules)) for package, modules in chosen.items())}"
        if key not in known:
            known[key] = code.hashes(program, chosen)
        return known[key]

    for kind in KINDS:
        for key in keys(study, kind):
            yield path(kind, key), text(record(study, kind, key, hashes))


def flat(name: str, value: object) -> dict[str, str]:
    """Flatten a nested value: every leaf as JSON, by its dotted path."""
    if not isinstance(value, dict | list) or not value:
        return {name: json.dumps(value)}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    prefix = f"{name}." if name else ""
    return {key: text for part, inner in items for key, text in flat(f"{prefix}{part}", inner).items()}
