"""How the pictures of analyses come into the report."""

import base64
import re

from tests.fake_results import SIMILARITY, fill, made, save, study
from tests.stages.test_analyse import PICTURES
from whole_in_parts.report.pictures import CAPTIONS

PNG = b"\x89PNG\r\n\x1a\nas it came"
NEAR = {"name": "neighbours", "patches": 2, "scale": [0.3, 0.6]}


def test_a_picture_is_a_part_of_the_page_and_a_file_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = study(analyse={"near": SIMILARITY | {"run": "byol", "analysis": NEAR}})
    fill(plan)
    save("analyse", "near", "neighbours.png", "")
    (tmp_path / "results/analyse/near/neighbours.png").write_bytes(PNG)
    directory = made(plan)
    text = (directory / "index.html").read_text()
    assert (directory / "figures/analyse_near_neighbours.png").read_bytes() == PNG
    (source, alternative) = re.findall(r'<img src="(.*?)" alt="(.*?)">', text)[0]
    assert base64.b64decode(source.removeprefix("data:image/png;base64,")) == PNG
    assert alternative == f"Neighbours, byol on digits: {CAPTIONS['neighbours']}"
    assert "default-src 'none'; img-src data:;" in text


def test_a_study_without_pictures_has_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = study()
    fill(plan)
    assert "<img" not in (made(plan) / "index.html").read_text()


def test_every_analysis_that_draws_has_a_caption():
    assert set(CAPTIONS) == set(PICTURES)
