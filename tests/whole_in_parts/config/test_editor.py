"""An editor finds the schema of params.yaml by its first line."""

import json
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_first_line_of_params_yaml_names_the_schema():
    line = (ROOT / "params.yaml").read_text().splitlines()[0]
    name, _, path = line.partition("$schema=")
    assert name == "# yaml-language-server: "
    assert "runs" in json.loads((ROOT / path).read_text())["properties"]
