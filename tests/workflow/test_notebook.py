"""The notebook runs as it stands, on the small study in place of the default one, and its cells are short."""

import json

import pytest

LONGEST = 5
"""The most lines of a step, beside its imports."""


@pytest.fixture
def cells(root) -> list[str]:
    content = json.loads((root / "docs/notebook.ipynb").read_text())
    return ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_runs_on_the_results_of_a_study(built, cells):
    code = "\n".join(cells).replace("fashion_mnist", "digits")
    last = "print(backbone(images).global_BD.shape[0], 0 <= float((predicted == labels).float().mean()) <= 1)"
    printed = built.run("python", "-c", f"import matplotlib\nmatplotlib.use('agg')\n{code}\n{last}")
    assert printed.splitlines()[-1] == "200 True"


def test_each_step_takes_a_few_lines(cells):
    for cell in cells[1:]:
        lines = [line for line in cell.splitlines() if line and not line.startswith(("import ", "from "))]
        assert len(lines) <= LONGEST, cell


def test_no_output_is_kept(root):
    content = json.loads((root / "docs/notebook.ipynb").read_text())
    assert all(not cell.get("outputs") for cell in content["cells"])
