"""The documentation builds as a site without a warning, and the reference of params.yaml is that of the options."""

import re
import subprocess
import sys
from pathlib import Path

from whole_in_parts.config.study import Study
from workflow.reference import PAGE, page

ROOT = Path(__file__).parents[2]


def test_the_reference_is_what_the_options_are():
    assert PAGE.read_text() == page(), "run: make schema"


def test_every_option_is_described():
    rows = re.findall(r"^\| `\w+` \|.*\| (.*) \|$", page(), re.MULTILINE)
    assert len(rows) > 300
    assert all(rows)
    assert all(f"`{name}`" in page() for name in Study.model_fields)


def test_the_site_builds_without_a_warning_and_has_every_page(tmp_path):
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "docs", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    for source in (ROOT / "docs").glob("*.md"):
        assert (tmp_path / f"{source.stem}.html").is_file(), source
