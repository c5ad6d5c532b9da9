"""Imports go one way: the table of docs/design.md is the order, and it holds."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| [^|]+ \| (`(?:whole_in_parts|workflow|stages)[^|]*) \|$", re.MULTILINE)
LAYERS = [re.findall(r"`([\w.]+)`", row) for row in ROW.findall((ROOT / "docs/design.md").read_text())]
ORDER = {module: level for level, modules in enumerate(LAYERS) for module in modules}
FILES = [file for folder in ("whole_in_parts", "workflow", "stages") for file in sorted((ROOT / folder).rglob("*.py"))]


def level(module: str) -> int | None:
    """The layer of a module: that of the longest entry of the table that it is or lies in."""
    parts = module.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((ORDER[name] for name in names if name in ORDER), None)


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(file: Path) -> Iterator[str]:
    """The modules and names of the project that a file imports, also within functions."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_the_table_names_every_module_and_each_exists():
    assert len(LAYERS) > 10
    assert [name_of(file) for file in FILES if level(name_of(file)) is None and name_of(file) != "whole_in_parts"] == []
    names = {name_of(file) for file in FILES}
    assert all(module in names for module in ORDER)


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_module_imports_its_own_layer_and_those_above_alone(file):
    own = level(name_of(file))
    wrong = [
        module for module in imported(file) if (other := level(module)) is not None and own is not None and other > own
    ]
    assert wrong == []


def test_no_stage_imports_another():
    kinds = {name_of(file) for file in FILES if file.parent.name == "stages"} - {"stages"}
    for file in (ROOT / "stages").glob("*.py"):
        assert not {module.rpartition(".")[0] for module in imported(file)} & kinds, file


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("whole_in_parts.config.study", ["torch", "numpy", "pandas", "pyarrow"]),
        ("whole_in_parts.training.loop", ["dvc", "snakemake", "workflow", "stages"]),
        ("stages.pretrain", ["dvc", "snakemake", "great_expectations", "matplotlib"]),
        ("stages.fetch", ["dvc", "snakemake", "torch"]),
    ],
)
def test_a_module_does_not_load_what_it_does_not_need(module, heavy):
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, check=True)
    assert done.stdout.strip() == "[]"
