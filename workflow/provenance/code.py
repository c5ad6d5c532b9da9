"""Find the code that the result of a stage depends on: the import closure of its program.

The closure follows all imports of a file, also those inside functions. Where a package loads a module by name
(`import_module(f"whole_in_parts.methods.{name}")`), it follows only the modules that the options of the stage name, or
all modules if there are no such names. Other files in the folder of a module, such as templates, are included.
"""

import ast
import hashlib
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

LEFT_OUT = {
    "whole_in_parts/config": "the options of params.yaml, which are recorded by value, with their defaults",
    "whole_in_parts/process.py": "keeps a stage from running twice at once, and ends it with its parent process",
    "whole_in_parts/progress.py": "progress bars",
    "whole_in_parts/results.py": "moves a finished result into its folder",
    "workflow": "runs stages and computes the records",
}
"""Files and folders that programs import but results do not depend on, with the reason."""

PROJECT = ("stages.", "whole_in_parts.", "workflow.")

Chosen = Mapping[str, Collection[str]]
"""The modules that options name, by the package that loads them: `{"methods": {"byol"}}`."""


class Imports(NamedTuple):
    """The imports of a file: modules by their full names, and packages from which it loads a module by name."""

    modules: frozenset[str]
    by_name: frozenset[str]


def hashes(program: str, chosen: Chosen | None = None) -> dict[str, str]:
    """Hash the files that `python -m program` depends on: sha256, shortened to 16 digits, by path."""
    return {str(file.relative_to(ROOT)): _sha256(file) for file in closure(program, chosen or {})}


def digest(program: str, chosen: Chosen | None = None) -> str:
    """Hash all files that `python -m program` depends on to one sha256."""
    return hashlib.sha256(repr(hashes(program, chosen)).encode()).hexdigest()


def closure(program: str, chosen: Chosen) -> list[Path]:
    """List the files that `python -m program` depends on, sorted."""
    files: set[Path] = set()
    followed: set[Path] = set()
    queue = [program]
    while queue:
        for file in _files_of(queue.pop()):
            if file in followed:
                continue
            followed.add(file)
            # The imports of a file that is left out are followed all the same: a program runs them, too.
            if not _left_out(file):
                files.add(file)
            queue += _imported(file, chosen)
    return sorted(files | {data for file in files for data in _data_beside(file)})


def _imported(file: Path, chosen: Chosen) -> Iterator[str]:
    """List the modules that a file imports, with the chosen modules of packages that are loaded by name."""
    imports = imports_of(file.read_text(encoding="utf-8"))
    yield from imports.modules
    for package in imports.by_name:
        names = chosen.get(package.rpartition(".")[2])
        yield from (f"{package}.{name}" for name in (_modules_in(package) if names is None else names))


@cache
def imports_of(text: str) -> Imports:
    """Find the imports of project modules in the text of a file, without those for type checkers alone."""
    modules = set()
    by_name = set()
    queue: list[ast.AST] = [ast.parse(text)]
    while queue:
        node = queue.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            queue += node.orelse
            continue
        queue += ast.iter_child_nodes(node)

        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and (package := _loaded_by_name(node)):
            by_name.add(package)
    return Imports(frozenset(name for name in modules if name.startswith(PROJECT)), frozenset(by_name))


def _loaded_by_name(call: ast.Call) -> str | None:
    """Return the package of a call `import_module(f"package.{name}")`; None for other calls."""
    if "import_module" not in ast.unparse(call.func) or not isinstance(call.args[0], ast.JoinedStr):
        return None
    first = call.args[0].values[0]
    return str(first.value).rstrip(".") if isinstance(first, ast.Constant) else None


def _files_of(module: str) -> Iterator[Path]:
    """List the files of a module and of its parent packages; the last part may be a name inside a module."""
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        path = ROOT.joinpath(*parts[:depth])
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.is_file():
                yield file


def _modules_in(package: str) -> list[str]:
    """List the names of all modules of a package."""
    return sorted(file.stem for file in ROOT.joinpath(*package.split(".")).glob("*.py") if file.stem != "__init__")


def _data_beside(file: Path) -> Iterator[Path]:
    """List the files in the folder of a module that are not Python."""
    return (data for data in file.parent.iterdir() if data.is_file() and data.suffix not in (".py", ".pyc"))


def _left_out(file: Path) -> bool:
    """Return whether `LEFT_OUT` excludes a file."""
    path = file.relative_to(ROOT)
    return any(path.is_relative_to(excluded) for excluded in LEFT_OUT)


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
