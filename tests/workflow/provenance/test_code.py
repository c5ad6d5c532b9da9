"""The code of a stage is the import closure of its program, and no more."""

import ast
import re
from pathlib import Path

import pytest

from workflow.provenance import code
from workflow.provenance.options import KINDS

ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A function that writes the modules of a project that code is looked for in."""
    monkeypatch.setattr(code, "ROOT", tmp_path)

    def write(**modules: str) -> None:
        for name, text in ({"stages.__init__": ""} | modules).items():
            file = tmp_path / (name.replace(".", "/") + ".py")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    return write


def files(program: str = "stages.work", **chosen: set[str]) -> set[str]:
    return {name.removeprefix("stages/") for name in code.hashes(program, chosen)} - {"__init__.py"}


def test_imports_are_followed_in_all_their_forms_and_within_functions(project):
    project(
        **{
            "stages.work": "import stages.a\nfrom stages import b\nfrom stages.c import x\ndef f():\n import stages.d",
            **{f"stages.{name}": "" for name in "abd"},
            "stages.c.__init__": "from stages.c.inner import x",
            "stages.c.inner": "x = 1",
            "stages.unused": "",
        }
    )
    assert files() == {"work.py", "a.py", "b.py", "c/__init__.py", "c/inner.py", "d.py"}


def test_imports_for_type_checkers_alone_are_not_followed(project):
    project(
        **{
            "stages.work": "if TYPE_CHECKING:\n import stages.a\nelse:\n import stages.b",
            "stages.a": "",
            "stages.b": "",
        }
    )
    assert files() == {"work.py", "b.py"}


BY_NAME = {
    "stages.work": "from stages import methods",
    "stages.methods.__init__": 'def f(name): return importlib.import_module(f"stages.methods.{name}")',
    "stages.methods.byol": "",
    "stages.methods.dino": "import stages.teacher",
    "stages.teacher": "",
}


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({"methods": {"byol"}}, {"methods/byol.py"}),
        ({"methods": {"dino"}}, {"methods/dino.py", "teacher.py"}),
        ({}, {"methods/byol.py", "methods/dino.py", "teacher.py"}),
        ({"methods": set()}, set()),
    ],
)
def test_of_a_package_that_loads_by_name_what_is_named_is_followed_and_all_where_nothing_is(project, chosen, found):
    project(**BY_NAME)
    assert files(**chosen) == {"work.py", "methods/__init__.py"} | found


def test_an_edit_changes_the_hash_of_its_file_alone(project, tmp_path):
    project(**BY_NAME)
    before = code.hashes("stages.work")
    (tmp_path / "stages/teacher.py").write_text("value = 2")
    after = code.hashes("stages.work")
    assert {name for name in after if after[name] != before[name]} == {"stages/teacher.py"}
    assert code.digest("stages.work", {"methods": {"byol"}}) != code.digest("stages.work")


def test_files_beside_a_module_that_are_not_python_belong_to_it():
    assert {f"whole_in_parts/report/{name}" for name in ("style.css", "index.html.j2")} <= code.hashes(
        "stages.report"
    ).keys()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_left_out_is_named_with_a_reason_and_is_in_no_record(kind):
    assert len(code.LEFT_OUT) <= 5
    assert all((ROOT / place).exists() and reason for place, reason in code.LEFT_OUT.items())
    assert not [file for file in code.hashes(f"stages.{kind}") if file.startswith(tuple(code.LEFT_OUT))]


FOR_USERS = ROOT / "whole_in_parts/__init__.py"
"""It loads one module by a constant name when a user asks for it, and no stage does."""


def test_no_stage_asks_the_package_for_an_attribute():
    for file in [*(ROOT / "stages").rglob("*.py"), *(ROOT / "whole_in_parts").rglob("*.py")]:
        imports = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Import)]
        assert "whole_in_parts" not in {alias.name for node in imports for alias in node.names}, file


def test_every_module_that_is_loaded_by_a_computed_name_is_found():
    """Whatever calls import_module does it in the form that is followed, and nothing calls __import__."""
    for file in [*(ROOT / "stages").rglob("*.py"), *(ROOT / "whole_in_parts").rglob("*.py")]:
        text = file.read_text()
        calls = len(re.findall(r"import_module\(|__import__\(", text.split('"""', 2)[-1]))
        if not file.is_relative_to(ROOT / "whole_in_parts/config") and file != FOR_USERS:
            assert len(code.imports_of(text).by_name) == calls, file
