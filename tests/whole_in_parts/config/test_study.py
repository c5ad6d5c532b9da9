import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from whole_in_parts.config.backbone import backbone_config
from whole_in_parts.config.study import load_study
from workflow.schema import SCHEMA, schema

ROOT = Path(__file__).parents[3]
STUDIES = [ROOT / "params.yaml", *sorted((ROOT / "workflow/studies").glob("*.yaml"))]
SMALL = yaml.safe_load((ROOT / "workflow/studies/small.yaml").read_text())
LEFT_OUT = object()


def edited(path: Path, key: str, value: object) -> Path:
    """The small study with one key changed, or left out, as a file."""
    content = json.loads(json.dumps(SMALL))  # a copy in which pieces that were merged are no longer one
    *parents, last = key.split(".")
    section = content
    for part in parents:
        section = section[int(part) if isinstance(section, list) else part]
    if value is LEFT_OUT:
        del section[last]
    else:
        section[last] = value
    (path / "params.yaml").write_text(yaml.safe_dump(content))
    return path / "params.yaml"


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_shipped_study_loads_and_has_a_run_that_trains(path):
    assert any(run.epochs for run in load_study(path).runs.values())


RF = {**SMALL["recipes"]["run"]["backbone"], "name": "rf_resnet", "mlp": True}

PIXELS = {name: RF[name] for name in ("channels", "mean", "std")}
ALEXNET = {"name": "alexnet", "image_size": 64, "width": 96, "features": 4096, **PIXELS}
TIMM = {"name": "timm", "model": "resnet18", **PIXELS}


@pytest.mark.parametrize(
    ("key", "value", "fragments"),
    [
        ("knn.metric", "cosine", ["knn: no such key: metric; allowed: neighbours"]),
        ("probe", {}, ["no such key: probe; allowed: recipes, datasets, runs, "]),
        ("runs.byol.learning_rate", 1, ["runs.byol: no such key: learning_rate; allowed: dataset, split, method, "]),
        ("runs.byol.method.weight", 1, ["runs.byol.method.byol: no such key: weight; allowed: "]),
        ("linear", LEFT_OUT, ["linear: Field required"]),
        ("mask.runs", ["byol", "bjol"], ["mask.runs: no run is called bjol; there are: "]),
        ("mask.runs", ["byol", "byol"], ["mask.runs: named more than once: byol"]),
        ("runs.byol.seed", LEFT_OUT, ["runs.byol.seed: Field required"]),
        ("linear.epochs", "many", ["linear.epochs: ", "integer", "given: 'many'"]),
        ("runs.byol.views.1.flip", "often", ["runs.byol.views.1.flip: ", "number", "given: 'often'"]),
        ("linear.epochs", 0, ["linear.epochs: ", "greater than 0", "given: 0"]),
        ("runs.byol.views.0.flip", 1.5, ["runs.byol.views.0.flip: ", "less than or equal to 1", "given: 1.5"]),
        ("runs.byol.views.0.crop_scale", [0.9, 0.4], ["views.0.crop_scale: ", "0.9, is above the second, 0.4"]),
        ("runs.byol.views", [], ["runs.byol.views: ", "at least 2"]),
        ("mask.rates", [50, 100], ["mask.rates.1: ", "less than 100", "given: 100"]),
        ("runs.byol.method.name", "bjol", ["runs.byol.method: ", "'bjol'", "'byol', 'dino'"]),
        ("runs.byol.modifier.name", "co2", ["runs.byol.modifier: ", "'co2'", "'co', 'logo', 'multi_crop'"]),
        ("runs.byol.backbone.name", "vit", ["runs.byol.backbone: ", "'vit'", "'resnet', 'rf_resnet'"]),
        ("datasets.digits.source.name", "mnist", ["datasets.digits.source: ", "'mnist'", "'digits', 'fashion_mnist'"]),
        ("datasets.digits.source.sha256", "6ebb", ["datasets.digits.source.digits.sha256: ", "given: '6ebb'"]),
        ("corrupt.corruptions", ["smog"], ["corrupt.corruptions.0: ", "there are: brightness, contrast, ", "'smog'"]),
        ("corrupt.corruptions", ["fog", "snow", "fog"], ["corrupt.corruptions: named more than once: fog"]),
        (
            "datasets.digits.corrupted",
            "/data/IN-C",
            ["digits.corrupted: ", "begin at the project's root", "/data/IN-C"],
        ),
        ("runs.byol.dataset", "digit", ["runs.byol.dataset: no dataset is called digit; there are: digits"]),
        ("runs.byol.start", "co_byol", ["runs.byol.start: no run above it is called co_byol; allowed: "]),
        ("runs.co_byol.start", "byol", ["runs.co_byol.start: byol has another backbone"]),
        ("runs.byol.split", "unlabelled", ["runs.byol.split: digits has no split unlabelled; allowed is train, or "]),
        (
            "runs.byol",
            SMALL["runs"]["byol"] | {"method": {"name": "supervised"}, "split": "unlabelled"},
            ["runs.byol: ", "split: method supervised needs the labels of train"],
        ),
        (
            "transfer.byol_digits.dataset",
            "mnist",
            ["transfer.byol_digits.dataset: no dataset is called mnist; there are:"],
        ),
        (
            "transfer.byol_digits.run",
            "dino",
            ["transfer.byol_digits.run: no run is called dino; there are: byol, co_byol"],
        ),
        ("export.byol_onnx.run", "dino", ["export.byol_onnx.run: no run is called dino; there are: byol, co_byol"]),
        ("export.byol_onnx.format", "torchvision", ["byol_onnx.format: torchvision has no resnet", "(run: byol)"]),
        ("runs.byol.backbone", RF | {"blocks": [3, 2, 3]}, ["backbone", "blocks: ", "3 or more", "[3, 2, 3]"]),
        ("runs.byol.backbone.strides", [1, 2], ["blocks has 3 stages and strides 2: both take one number per stage"]),
        ("runs.byol.backbone", ALEXNET | {"image_size": 8}, ["backbone.alexnet.image_size: ", "15", "given: 8"]),
        ("runs.byol.backbone", TIMM | {"arguments": {"pretrained": True}}, ["arguments: pretrained: set by the study"]),
        ("runs.byol.backbone", TIMM | {"arguments": {"depth": [1]}}, ["timm.arguments: depth: takes a number", "[1]"]),
        ("runs.byol.backbone.mean", [0.1, 0.2, 0.3], ["mean and std take one number for each of the 1 channels"]),
        ("runs.random.epochs", 1, ["runs.random", "epochs: method random takes 0; given are 1"]),
        ("runs.byol.epochs", 0, ["runs.byol", "epochs: method byol takes at least 1; given are 0"]),
        ("runs.byol.optimizer.name", "adam", ["runs.byol.optimizer: ", "'adam'", "'sgd', 'adamw', 'lars'"]),
        ("runs.byol.optimizer.momentum", 0.9, ["runs.byol.optimizer.sgd: no such key: momentum; allowed: "]),
        ("runs.byol.optimizer.trust", 0.02, ["runs.byol.optimizer.sgd: no such key: trust; allowed: "]),
        ("runs.byol.optimizer.learning_rate_end", -1, ["optimizer.sgd.learning_rate_end: ", "equal to 0", "given: -1"]),
        ("runs.byol.optimizer.weight_decay_end", -1, ["optimizer.sgd.weight_decay_end: ", "equal to 0", "given: -1"]),
        ("runs.byol.optimizer.clip_norm", -1, ["runs.byol.optimizer.sgd.clip_norm: ", "greater than 0", "given: -1"]),
        (
            "runs.byol.optimizer.warmup_epochs",
            3,
            ["runs.byol: ", "optimizer.warmup_epochs: a warm-up of 3.0 epochs is longer", "has 2"],
        ),
        ("runs.byol.online", {"samples": 0}, ["runs.byol.online.samples: ", "greater than 0", "given: 0"]),
        ("runs.byol.online", {"samples": 10}, ["runs.byol.online: ", "neighbours: 20 is more than the 10 samples"]),
        ("runs.byol.online", {"learning_rate": -0.1}, ["runs.byol.online.learning_rate: ", "greater than 0"]),
        ("runs.byol.online", {"every": 0.5}, ["runs.byol.online.every: ", "integer", "given: 0.5"]),
        ("runs.a b", SMALL["runs"]["byol"], ["runs.a b", "pattern"]),
        ("runs", {}, ["runs: ", "at least 1"]),
        (f"runs.{'x' * 300}", SMALL["runs"]["byol"], ["runs.xxx", "at most 200 characters"]),
        ("runs.byol.seed", 2**64, ["runs.byol.seed: ", "less than 9223372036854775808", "given: 18446744073709551616"]),
        ("runs.byol.seed", -1, ["runs.byol.seed: ", "greater than or equal to 0", "given: -1"]),
        ("runs.byol.epochs", 1e30, ["runs.byol.epochs: ", "exceeded maximum size", "given: 1e+30"]),
        ("runs.byol.batch_size", 10**12, ["runs.byol.batch_size: ", "less than or equal to 1000000000"]),
        ("knn.temperature", float("inf"), ["knn.temperature: ", "finite number", "given: inf"]),
        ("knn.temperature", float("nan"), ["knn.temperature: ", "finite number", "given: nan"]),
        ("knn.temperature", "nan", ["knn.temperature: ", "finite number", "given: 'nan'"]),
        ("linear.learning_rate", 1e30, ["linear.learning_rate: ", "less than or equal to 1000000000"]),
    ],
)
def test_a_study_with_a_mistake_is_refused_by_the_name_of_the_key_and_with_what_is_allowed(
    tmp_path, key, value, fragments
):
    with pytest.raises(ValueError, match=r"params\.yaml: ") as error:
        load_study(edited(tmp_path, key, value))
    (line,) = str(error.value).splitlines()
    for fragment in fragments:
        assert fragment in line


def test_two_mistakes_are_two_lines(tmp_path):
    path = edited(tmp_path, "knn.neighbours", [0])
    path.write_text(path.read_text().replace("temperature: 0.07", "temperature: cold"))
    with pytest.raises(ValueError, match="temperature") as error:
        load_study(path)
    assert [line.split(": ")[1] for line in str(error.value).splitlines()] == ["knn.neighbours.0", "knn.temperature"]


@pytest.mark.parametrize(("content", "message"), [("runs: [", "not YAML"), ("", "params.yaml: "), ("- 1", "valid")])
def test_a_file_that_is_no_study_is_refused_by_its_name(tmp_path, content, message):
    (tmp_path / "params.yaml").write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        load_study(tmp_path / "params.yaml")
    assert str(error.value).startswith(str(tmp_path / "params.yaml"))


def test_a_file_that_is_missing_is_refused_with_where_to_look(tmp_path):
    with pytest.raises(ValueError, match=r"params\.yaml: not found; run this from the folder that holds it"):
        load_study(tmp_path / "params.yaml")


def test_numbers_in_the_exponent_form_that_yaml_takes_for_text_are_numbers(tmp_path):
    path = edited(tmp_path, "linear.weight_decay", 0.0)
    path.write_text(path.read_text().replace("weight_decay: 0.0\n", "weight_decay: 1e-4\n"))
    assert load_study(path).linear.weight_decay == 1e-4


def test_nothing_changes_a_study_once_it_is_read(small):
    with pytest.raises(ValueError, match="frozen"):
        small.linear.epochs = 7


@pytest.mark.parametrize("name", ["byol", "co_byol"])
def test_the_options_of_a_backbone_survive_json(small, name):
    options = small.runs[name].backbone
    assert backbone_config(json.loads(json.dumps(options.model_dump()))) == options


def test_the_committed_schema_is_that_of_the_code():
    committed = (ROOT / SCHEMA).read_text(encoding="utf-8")
    assert committed == schema(), "run: make schema"


def test_the_schema_describes_every_option():
    content = json.loads(schema())
    definitions = {"Study": content, **content["$defs"]}
    undescribed = [
        f"{name}.{key}"
        for name, definition in definitions.items()
        for key, option in definition.get("properties", {}).items()
        if not option.get("description")
    ]
    assert undescribed == []


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_schema_allows_the_shipped_studies_and_refuses_an_unknown_key(path):
    content = json.loads(json.dumps(yaml.safe_load(path.read_text())))
    validator = jsonschema.Draft202012Validator(json.loads(schema()))
    assert list(validator.iter_errors(content)) == []
    assert len(list(validator.iter_errors(content | {"probe": {}}))) == 1
