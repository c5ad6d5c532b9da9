import json
import re
from pathlib import Path

import pytest

from stages.analyse import analyse
from stages.pretrain import pretrain
from tests.conftest import offer
from tests.every_method import MODIFIERS
from whole_in_parts.config.study import Study
from whole_in_parts.evaluation import analyses
from whole_in_parts.results import atomic_output_dir, result_dir

ANALYSES = {
    "bag": {"patches": [1, 2], "scale": [0.3, 0.6], "train_subset": 200},
    "receptive_field": {},
    "similarity": {"pairs": 100},
    "cost": {"crop_scale": 0.2},
    "neighbours": {"patches": 2, "scale": [0.3, 0.6], "neighbours": 3, "shown": 2},
    "heat_map": {"size": 4, "stride": 2, "shown": 2},
    "affinity": {"pairs": 1},
}
PICTURES = {"neighbours": ["neighbours.png"], "heat_map": ["heat_map.png"], "affinity": ["affinity.png", "crops.png"]}
PICTURES |= {"receptive_field": ["field.png", "field_images.png"]}


def asking(small, name: str, run: str) -> Study:
    """The small study with BYOL and LoGo for an epoch, and one analysis."""
    content = small.model_dump()
    content["runs"]["logo"] = content["runs"]["byol"] | {"epochs": 1, "modifier": MODIFIERS["logo"].model_dump()}
    probe = {"probe": content["linear"]} if name == "bag" else {}
    entry = {"run": run, "dataset": "digits", "analysis": {"name": name} | ANALYSES[name] | probe, "subset": 60}
    return Study.model_validate(content | {"analyse": {"one": entry}})


@pytest.fixture(scope="module")
def trained(small, shards, tmp_path_factory):
    """A place in which a run without a projector and one with an affinity are pretrained."""
    folder = tmp_path_factory.mktemp("trained")
    offer(shards, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for run in ("random", "logo"):
            with atomic_output_dir("pretrain", run) as directory:
                pretrain(asking(small, "affinity", "logo"), run, directory)
    return folder


def test_every_file_is_an_analysis_that_is_tested_here():
    files = {file.stem for file in Path(analyses.__file__).parent.glob("*.py")}
    assert {name for name in files if not name.startswith("_")} == set(ANALYSES)


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_has_its_headline_and_its_picture_and_is_the_same_each_time(trained, small, monkeypatch, name):
    monkeypatch.chdir(trained)
    study, made = asking(small, name, "logo"), []
    for _ in range(2):
        with atomic_output_dir("analyse", "one") as directory:
            analyse(study, "one", directory)
        made.append({file.name: file.read_bytes() for file in result_dir("analyse", "one").iterdir()})
    assert made[0] == made[1]
    assert study.analyse["one"].analysis.headline in json.loads(made[0]["metrics.json"])
    assert sorted(file for file in made[0] if file.endswith(".png")) == PICTURES.get(name, [])


@pytest.mark.parametrize("name", [name for name in ANALYSES if name != "affinity"])
def test_a_run_without_a_projector_can_be_analysed_too(trained, small, monkeypatch, tmp_path, name):
    monkeypatch.chdir(trained)
    analyse(asking(small, name, "random"), "one", tmp_path)
    assert "projection" not in (tmp_path / "metrics.json").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"run": "byol", "analysis": {"name": "affinity"}},
            "analyse.one.analysis.name: affinity needs a run with modifier logo and its local_to_local; "
            "modifier here: none (run: byol)",
        ),
        (
            {"run": "byol", "analysis": {"name": "heat_map", "size": 9, "stride": 2}},
            "analyse.one.analysis.size: a window of 9 is larger than the run's images, of 8 (run: byol)",
        ),
    ],
    ids=["affinity", "heat_map"],
)
def test_an_analysis_that_a_run_is_not_fit_for_is_refused_when_the_study_is_read(small, change, message):
    entry = {"dataset": "digits", "subset": 60} | change
    with pytest.raises(ValueError, match=re.escape(message)):
        Study.model_validate(small.model_dump() | {"analyse": {"one": entry}})


def test_an_affinity_that_was_left_out_cannot_be_analysed(small):
    content = asking(small, "affinity", "logo").model_dump()
    content["runs"]["logo"]["modifier"]["local_to_local"] = False
    with pytest.raises(ValueError, match=r"local_to_local; modifier here: logo \(run: logo\)"):
        Study.model_validate(content)
