"""Whoever follows the tutorial on own images gets a report."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.workflow.conftest import Checkout, checkout

PAGE = (Path(__file__).parents[2] / "docs/own_images.md").read_text(encoding="utf-8")
STUDY = re.search(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^```sh\n(.*?)\n```$", PAGE, re.MULTILINE)


@pytest.fixture
def followed(tmp_path) -> Checkout:
    """A checkout with photographs of two classes and the study of the page."""
    made = checkout(tmp_path)
    rng = np.random.default_rng(0)
    for name, colour in (("cat", (200, 80, 40)), ("dog", (40, 90, 200))):
        (tmp_path / "photographs" / name).mkdir(parents=True)
        for number in range(60):
            size = (*rng.integers(70, 120, 2), 3)
            pixels = np.clip(rng.normal(colour, 60, size), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photographs" / name / f"{number:03d}.jpg")
    assert STUDY
    (tmp_path / "params.yaml").write_text(STUDY[1], encoding="utf-8")
    return made


def test_the_commands_of_the_page_lead_to_a_report(followed):
    first, propose, build = COMMANDS
    assert "datasets.photographs.expect: left out" in followed.run(*first.split(), fails=True)

    proposed = followed.run(*propose.split())
    assert "train: 96, test: 24" in proposed
    study = followed / "params.yaml"
    last = "samples_per_shard: 1000\n"
    study.write_text(study.read_text().replace(last, last + proposed))

    followed.edit(lambda study: [study["runs"].pop(run) for run in ("random", "co_byol")])  # to save a minute
    followed.run(*build.split())
    assert "byol" in (followed / "results/report/index.html").read_text()
