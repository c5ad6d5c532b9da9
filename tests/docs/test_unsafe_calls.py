"""None of our programs runs code that came as data: no pickle, no eval, no shell, no YAML with objects."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXCEPTIONS = {
    ("whole_in_parts/data/sources/revisited.py", "pickle.Unpickler"): "its find_class allows nothing but numbers",
}
"""Calls and base classes that are unsafe in general, by file, with why they are not there."""

UNSAFE = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput"),
    *("subprocess.getstatusoutput", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "yaml.unsafe_load_all"),
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.load", "marshal.loads", "shelve.open", "joblib.load"),
    *("dill.load", "dill.loads", "cloudpickle.load", "cloudpickle.loads", "pandas.read_pickle", "torch.jit.load"),
}
SAFE_LOADERS = ("yaml.SafeLoader", "yaml.CSafeLoader", "Loader")
"""The last is that of `whole_in_parts/config/params_file.py`, which is one of the others."""


def programs() -> list[Path]:
    """Our Python outside of the tests, in which some data is hostile on purpose."""
    listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.py", "Snakefile")
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return [ROOT / name for name in names if name and not name.startswith("tests/") and (ROOT / name).exists()]


def unsafe(tree: ast.AST) -> Iterator[str]:
    """Yield what is unsafe in the syntax tree of a module, by its name."""
    names = imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from unsafe_call(node, dotted(node.func, names), names)
        elif isinstance(node, ast.ClassDef):
            yield from (name for base in node.bases if (name := dotted(base, names)) in UNSAFE)


def unsafe_call(call: ast.Call, name: str, names: dict[str, str]) -> Iterator[str]:
    """Yield what is unsafe in a call of a function by its full name."""
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    if name in UNSAFE:
        yield name
    if name == "torch.load" and not is_constant(keywords.get("weights_only"), True):
        yield "torch.load without weights_only=True"
    if name in ("yaml.load", "yaml.compose", "yaml.parse"):
        loader = keywords.get("Loader", call.args[1] if len(call.args) > 1 else None)
        if loader is None or dotted(loader, names).rpartition("params_file.")[2] not in SAFE_LOADERS:
            yield f"{name} without a safe loader"
    for option in ("shell", "allow_pickle"):
        if option in keywords and not is_constant(keywords[option], False):
            yield f"{option}=True"


def imported(tree: ast.AST) -> dict[str, str]:
    """Map the names that a module imports to what they are: `load` to `pickle.load`."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            names |= {(alias.asname or alias.name): f"{node.module}.{alias.name}" for alias in node.names}
    return names


def dotted(node: ast.expr, names: dict[str, str]) -> str:
    """Return the full name of an expression `a.b.c`; empty for others."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value, names)):
        return f"{owner}.{node.attr}"
    return ""


def is_constant(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def test_no_program_runs_code_that_came_as_data():
    files = programs()
    assert {"Snakefile", "job.py", "failure.py", "pretrain.py", "hubconf.py"} <= {file.name for file in files}
    found = {
        (str(file.relative_to(ROOT)), name)
        for file in files
        if file.name != "Snakefile"
        for name in unsafe(ast.parse(file.read_text(encoding="utf-8")))
    }
    assert found == EXCEPTIONS.keys()


@pytest.mark.parametrize(
    "text",
    [
        "import pickle\npickle.load(file)",
        "from pickle import loads\nloads(content)",
        "import pickle as data\ndata.Unpickler(file)",
        "import pickle\nclass Reader(pickle.Unpickler): pass",
        "eval(text)",
        "import os\nos.system(text)",
        "import subprocess\nsubprocess.run(text, shell=True)",
        "from subprocess import run\nrun(text, shell=asked)",
        "import yaml\nyaml.load(text)",
        "import yaml\nyaml.load(text, yaml.Loader)",
        "import yaml\nyaml.load(text, Loader=yaml.UnsafeLoader)",
        "import torch\ntorch.load(file)",
        "import torch\ntorch.load(file, weights_only=False)",
        "import numpy as np\nnp.load(file, allow_pickle=True)",
    ],
)
def test_each_way_to_run_data_is_found(text):
    assert len([*unsafe(ast.parse(text))]) == 1


@pytest.mark.parametrize(
    "text",
    [
        "model.eval()",
        "re.compile(text)",
        "import subprocess\nsubprocess.run(['ls'])",
        "import yaml\nyaml.safe_load(text)",
        "import yaml\nyaml.load(text, Loader=yaml.CSafeLoader)",
        "import torch\ntorch.load(file, weights_only=True)",
        "import numpy as np\nnp.load(file, allow_pickle=False)",
    ],
)
def test_what_runs_nothing_is_not_found(text):
    assert [*unsafe(ast.parse(text))] == []
