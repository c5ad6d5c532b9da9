"""The code that a stage's result depends on: the import closure of its program.

An import is followed wherever it stands in a file, also inside a function. Where a package loads a module by name
(`import_module(f"whole_in_parts.methods.{name}")`), only the modules that the stage's options name are followed;
without such names, all of them. Files of a package that are not Python, such as templates, belong to it.
"""

import ast
import hashlib
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

LEFT_OUT = {
    "whole_in_parts/config": "the options that params.yaml may have; they are recorded as values, defaults included",
    "whole_in_parts/process.py": "keeps a stage from working twice at once, and ends it with its parent",
    "whole_in_parts/progress.py": "progress bars",
    "whole_in_parts/results.py": "puts a finished result in its place",
    "workflow": "runs stages and computes these very records",
}
"""Code that a result does not depend on although its program imports it: a file or folder, and the reason."""

OURS = ("stages.", "whole_in_parts.", "workflow.")

Chosen = Mapping[str, Collection[str]]
"""The modules that options name, by the package that loads them: `{"methods": {"byol"}}`."""


class Imports(NamedTuple):
    """What a file imports: modules by their full names, and packages of which it loads a module by name."""

    modules: frozenset[str]
    by_name: frozenset[str]


def hashes(program: str, chosen: Chosen | None = None) -> dict[str, str]:
    """The sha256, shortened to 16 digits, of each file that `python -m program` depends on, by its path."""
    return {str(file.relative_to(ROOT)): _sha256(file) for file in closure(program, chosen or {})}


def digest(program: str, chosen: Chosen | None = None) -> str:
    """One sha256 for all of these files."""
    return hashlib.sha256(repr(hashes(program, chosen)).encode()).hexdigest()


def closure(program: str, chosen: Chosen) -> list[Path]:
    """The files that `python -m program` depends on, sorted."""
    found: set[Path] = set()
    waiting = [program]
    while waiting:
        for file in _files_of(waiting.pop()):
            if file in found or _left_out(file):
                continue
            found.add(file)
            waiting += _imported(file, chosen)
    return sorted(found | {data for file in found for data in _data_beside(file)})


def _imported(file: Path, chosen: Chosen) -> Iterator[str]:
    imports = imports_of(file.read_text(encoding="utf-8"))
    yield from imports.modules
    for package in imports.by_name:
        names = chosen.get(package.rpartition(".")[2])
        yield from (f"{package}.{name}" for name in (_modules_in(package) if names is None else names))


@cache
def imports_of(text: str) -> Imports:
    """What a file with this text imports of the project; what it imports for type checkers alone does not count."""
    modules, by_name = set(), set()
    waiting: list[ast.AST] = [ast.parse(text)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and (package := _loaded_by_name(node)):
            by_name.add(package)
    return Imports(frozenset(name for name in modules if name.startswith(OURS)), frozenset(by_name))


def _loaded_by_name(call: ast.Call) -> str | None:
    """The package of `import_module(f"package.{name}")`."""
    if "import_module" not in ast.unparse(call.func) or not isinstance(call.args[0], ast.JoinedStr):
        return None
    first = call.args[0].values[0]
    return str(first.value).rstrip(".") if isinstance(first, ast.Constant) else None


def _files_of(module: str) -> Iterator[Path]:
    """The file of a module and those of the packages around it; the last part may be a name inside a module."""
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        place = ROOT.joinpath(*parts[:depth])
        for file in (place / "__init__.py", place.with_suffix(".py")):
            if file.is_file():
                yield file


def _modules_in(package: str) -> list[str]:
    return sorted(file.stem for file in ROOT.joinpath(*package.split(".")).glob("*.py") if file.stem != "__init__")


def _data_beside(file: Path) -> Iterator[Path]:
    """The files in the folder of a module that are not Python."""
    return (data for data in file.parent.iterdir() if data.is_file() and data.suffix not in (".py", ".pyc"))


def _left_out(file: Path) -> bool:
    path = file.relative_to(ROOT)
    return any(path.is_relative_to(place) for place in LEFT_OUT)


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
