import csv
import hashlib
import json
import re

import numpy as np
import pytest
import torch
import yaml

from stages import pretrain as program
from stages.pretrain import pretrain
from stages.shard import pack
from tests.every_method import METHODS
from whole_in_parts.checkpoints import Checkpoints
from whole_in_parts.config.study import Study
from whole_in_parts.data import shards as shards_module
from whole_in_parts.data.source import Arrays
from whole_in_parts.failure import Failure
from whole_in_parts.models import saved_backbone
from whole_in_parts.models.backbone_cost import multiply_adds
from whole_in_parts.results import atomic_output_dir, result_dir, scratch_dir
from whole_in_parts.training.online import MEASURED

CPU = torch.device("cpu")
MODEL_FILE = "model/model.safetensors"
MODEL = {"model/config.json", MODEL_FILE, "method.safetensors"}
CARD = "model/README.md"
FILES = MODEL | {CARD, "history.csv", "metrics.json"}


class Killed(BaseException):
    """What a kill is to the stage."""


@pytest.fixture
def study(small) -> Study:
    """The small study, of one epoch."""
    runs = {name: run.model_dump() | {"epochs": min(run.epochs, 1)} for name, run in small.runs.items()}
    return Study.model_validate(small.model_dump() | {"runs": runs})


def make(study: Study, run: str) -> dict[str, bytes]:
    """Pretrain a run in this place, and give the files of its result."""
    with atomic_output_dir("pretrain", run) as directory:
        pretrain(study, run, directory)
    directory = result_dir("pretrain", run)
    return {str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*") if file.is_file()}


def timeless(files: dict[str, bytes]) -> dict[str, object]:
    """The files without what the machine says of itself."""
    metrics = json.loads(files["metrics.json"])
    told = {name: metrics[name] for name in metrics if "second" not in name and "memory" not in name}
    return files | {"metrics.json": told}


@pytest.mark.parametrize("run", ["random", "supervised", "co_byol"])
def test_a_result_is_a_model_its_card_its_history_and_its_metrics_and_is_the_same_each_time(place, study, run):
    first, second = make(study, run), make(study, run)
    assert set(first) == FILES
    assert timeless(first) == timeless(second)


def begun(study: Study) -> Study:
    """The study with a second run of BYOL that begins with the weights of the first, at a rate that changes nothing."""
    byol = study.runs["byol"].model_dump()
    still = byol["optimizer"] | {"learning_rate": 1e-30, "weight_decay": 0.0}
    more = {"begun": byol | {"start": "byol", "seed": 7, "optimizer": still}}
    return Study.model_validate(study.model_dump() | {"runs": study.model_dump()["runs"] | more})


def test_a_run_begins_with_the_weights_of_the_run_that_it_names(place, study):
    study = begun(study)
    with pytest.raises(Failure, match=r"runs\.begun\.start: byol is not built yet; .*dvc repro pretrain@byol"):
        make(study, "begun")
    make(study, "byol")
    make(study, "begun")
    first, second = (saved_backbone.load(result_dir("pretrain", run) / "model", CPU)[0] for run in ("byol", "begun"))
    for (name, one), other in zip(first.named_parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(one, other, msg=name)


def test_a_run_of_weights_that_others_trained_is_a_result_as_any_other(place, study):
    trained = make(study, "byol")
    file = result_dir("pretrain", "byol") / "model"
    origin = {"name": "model", "path": file, "sha256": hashlib.sha256(trained[MODEL_FILE]).hexdigest()}
    run = study.runs["byol"].model_dump() | {"method": {"name": "weights", "origin": origin}, "epochs": 0}
    taken = make(
        Study.model_validate(study.model_dump() | {"runs": study.model_dump()["runs"] | {"taken": run}}), "taken"
    )
    assert set(taken) == FILES
    assert taken[MODEL_FILE] == trained[MODEL_FILE]


def test_a_pretraining_that_is_killed_ends_in_the_same_bytes_and_leaves_no_scratch(place, study, monkeypatch):
    uninterrupted = make(study, "co_byol")
    genuine = shards_module.make_batch

    def views(images, labels_B, crops, indices, seed, step):
        if step == 12:
            raise Killed
        return genuine(images, labels_B, crops, indices, seed, step)

    monkeypatch.setattr(Checkpoints, "due", lambda self: True)
    with monkeypatch.context() as patch:
        patch.setattr(shards_module, "make_batch", views)
        with pytest.raises(Killed):
            make(study, "co_byol")
    begun = []
    monkeypatch.setattr(shards_module, "make_batch", lambda *given: begun.append(given[5]) or genuine(*given))
    assert timeless(make(study, "co_byol")) == timeless(uninterrupted)
    assert begun[0] == 12
    assert not scratch_dir("pretrain", "co_byol").exists()


def test_the_metrics_tell_steps_size_and_field(place, study):
    metrics = json.loads(make(study, "co_byol")["metrics.json"])
    backbone, _ = saved_backbone.load(result_dir("pretrain", "co_byol") / "model", CPU)
    local_BCNN = backbone(torch.zeros(1, 1, 8, 8)).local_BCNN
    assert metrics["steps"] == 21
    assert metrics["epochs"] == 1
    assert metrics["parameters"] == sum(parameter.numel() for parameter in backbone.parameters())
    assert (metrics["receptive_field"], metrics["stride"], metrics["map_size"]) == (21, 2, local_BCNN.shape[-1])
    assert metrics["multiply_adds"] == multiply_adds(backbone, 8)
    assert 21 * 64 / metrics["images_per_second"] == pytest.approx(metrics["seconds"], abs=0.06)


VIT = {"patch_size": 2, "img_size": 8, "depth": 1, "embed_dim": 8, "num_heads": 2}


def test_a_transformer_has_a_map_and_no_receptive_field(place, study):
    pixels = study.runs["byol"].backbone.model_dump(include={"channels", "mean", "std"})
    vit = {"name": "timm", "model": "vit_tiny_patch16_224", "arguments": VIT} | pixels
    content = study.model_dump()
    content["runs"]["random"]["backbone"] = vit
    files = make(Study.model_validate(content), "random")
    metrics = json.loads(files["metrics.json"])
    assert (metrics["receptive_field"], metrics["stride"], metrics["map_size"]) == (None, None, 4)
    assert "It has 4×4 local representations.\n" in files[CARD].decode()


def test_the_history_ends_with_the_loss_of_the_metrics_and_that_of_no_training_is_empty(place, study):
    trained, untrained = make(study, "co_byol"), make(study, "random")
    rows = list(csv.DictReader(trained["history.csv"].decode().splitlines()))
    assert [int(row["step"]) for row in rows] == list(range(21))
    assert float(rows[-1]["loss"]) == json.loads(trained["metrics.json"])["loss"]
    assert list(csv.DictReader(untrained["history.csv"].decode().splitlines())) == []
    assert json.loads(untrained["metrics.json"])["steps"] == 0


def test_what_was_measured_beside_the_training_is_in_its_row_and_the_last_of_it_in_the_metrics(place, study):
    made = make(study, "co_byol")
    *rows, last = csv.DictReader(made["history.csv"].decode().splitlines())
    metrics = json.loads(made["metrics.json"])
    assert all(row[name] == "" for row in rows for name in MEASURED)
    assert {name: float(last[name]) for name in MEASURED} == {name: metrics[name] for name in MEASURED}
    assert metrics["collapsed"] == 0
    assert 0 < metrics["online_knn"] < 100
    assert 50 < metrics["peak_memory_mb"] < 8000


def test_a_training_on_images_without_labels_is_evaluated_on_those_that_have_them(study, shards, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = result_dir("shard", "digits")
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        (folder / split).symlink_to(shards / split)
    (folder / "unlabelled").mkdir()
    dice = np.random.default_rng(0)
    samples = Arrays(dice.integers(0, 256, (130, 8, 8), np.uint8), np.full(130, -1))
    pack(samples, [str(digit) for digit in range(10)], folder / "unlabelled", 100, "unlabelled")

    run = study.runs["byol"].model_copy(update={"split": "unlabelled"})
    made = make(study.model_copy(update={"runs": {"byol": run}}), "byol")
    metrics = json.loads(made["metrics.json"])
    assert metrics["steps"] == 130 // 64
    assert set(MEASURED) & set(metrics) == {"online_knn", "rank", "spread", "collapsed"}
    assert 0 < metrics["online_knn"] < 100
    assert "on the unlabelled images of digits" in made[CARD].decode()


def test_a_backbone_that_is_not_trained_is_not_measured_beside_anything(place, study):
    metrics = json.loads(make(study, "random")["metrics.json"])
    assert not set(MEASURED) & set(metrics)
    assert metrics["peak_memory_mb"] > 50


def test_the_card_has_the_settings_of_the_run_and_code_that_loads_the_model(place, study, monkeypatch):
    card = make(study, "byol")[CARD].decode()
    (settings,) = re.findall(r"```json\n(.*?)```", card, re.DOTALL)
    assert json.loads(settings) == json.loads(study.runs["byol"].model_dump_json())
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    monkeypatch.chdir(result_dir("pretrain", "byol"))
    names = {"images": torch.rand(2, 1, 8, 8)}
    exec(code, names)
    assert names["local_BCNN"].shape == (2, 32, 4, 4)
    assert names["global_BD"].shape == (2, 32)


def test_the_card_has_metadata_with_the_accuracies_that_were_measured(place, study):
    made = make(study, "byol")
    metadata = yaml.safe_load(made[CARD].decode().split("---\n")[1])
    assert {"self-supervised", "byol", "resnet"} <= set(metadata["tags"])
    (result,) = metadata["model-index"][0]["results"]
    assert result["dataset"]["name"] == "digits"
    measured = json.loads(made["metrics.json"])
    assert {entry["value"] for entry in result["metrics"]} == {measured["online_linear"], measured["online_knn"]}
    untrained = make(study, "random")[CARD].decode()
    assert "with random weights, for images of 8 px" in untrained
    assert yaml.safe_load(untrained.split("---\n")[1])["model-index"][0]["results"] == []


def test_patch_wise_dino_crops_squashed_images_and_is_evaluated_on_those_of_the_test_transform(
    place, study, monkeypatch
):
    method = METHODS["patch_dino"].model_copy(update={"squash": 10})
    run = study.runs["byol"].model_dump() | {"method": method.model_dump()}
    study = Study.model_validate(study.model_dump() | {"runs": study.runs | {"byol": run}})
    genuine, seen = program.train, []

    def watched(method, images, online, *rest):
        seen.extend([images, online.bank.images, online.test.images])
        return genuine(method, images, online, *rest)

    monkeypatch.setattr(program, "train", watched)
    assert set(make(study, "byol")) == FILES
    assert [images.size for images in seen] == [10, 8, 8]
    assert not seen[0].transform.keep_aspect
