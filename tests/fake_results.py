"""A small study and results for it, made up: four groups, of which two are self-supervised."""

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stages.report import report
from whole_in_parts.config.study import Study
from whole_in_parts.results import result_dir

RESNET = {
    "name": "resnet",
    "block": "basic",
    "channels": 1,
    "mean": [0.3],
    "std": [0.35],
    "width": 16,
    "blocks": [1, 1, 1],
    "strides": [1, 2, 2],
    "stem": {"kernel": 3, "stride": 2, "pool": False},
}
BYOL = {"name": "byol", "projector": [64, 32], "predictor": 64, "momentum": [0.9, 1]}
VIEW = {"crop_scale": [0.3, 1]}
SEEDS = 3
INTERVAL = {"": 0, "_low": -5, "_high": 5}
LINEAR = {"random": 68.0, "supervised": 90.0, "byol": 80.0, "co_byol": 83.0}


def runs(name: str, seeds: int = SEEDS, **more: object) -> dict[str, dict]:
    """The runs of a group: `name`, `name_1`, …"""
    options = {
        "dataset": "images",
        "modifier": {"name": "none"},
        "backbone": RESNET,
        "image_size": 28,
        "views": [VIEW, VIEW],
        "epochs": 2,
        "batch_size": 64,
        "optimizer": {"name": "sgd", "learning_rate": 0.2, "weight_decay": 0, "warmup_epochs": 0.1},
    }
    return {f"{name}_{seed}" if seed else name: options | more | {"seed": seed} for seed in range(seeds)}


def study(**more: object) -> Study:
    source = {"name": "digits", "sha256": "0" * 64}
    expect = {"train": 1000, "test": 200, "classes": 10, "height": [28, 28], "width": [28, 28]}
    content: dict[str, Any] = {
        "datasets": {
            name: {"source": source, "samples_per_shard": 100, "expect": expect} for name in ("images", "digits")
        },
        "runs": runs("random", method={"name": "random"}, epochs=0)
        | runs("supervised", seeds=1, method={"name": "supervised"})
        | runs("byol", method=BYOL)
        | runs("co_byol", method=BYOL, modifier={"name": "co", "weight": 0.2}),
        "extract": {"representations": ["global"]},
        "linear": {"epochs": 5, "batch_size": 64, "learning_rate": 0.1, "weight_decay": 0},
        "knn": {"neighbours": [20, 5], "temperature": 0.07},
        "corrupt": {"corruptions": ["gaussian_noise", "defocus_blur"], "subset": 200},
        "mask": {"rates": [50, 60, 70, 80, 90], "subset": 200},
        "attack": {
            "settings": {
                "weak": {"epsilon": 0.01, "step": 0.1, "iterations": 5},
                "strong": {"epsilon": 0.03, "step": 0.25, "iterations": 10},
            },
            "subset": 100,
        },
    }
    content |= more
    content.setdefault("analyse", {"seen": SIMILARITY | {"run": next(iter(content["runs"]))}})
    content.setdefault("transfer", {name: transfer(name) for name in content["runs"]})
    return Study.model_validate(content)


SIMILARITY = {"dataset": "digits", "analysis": {"name": "similarity", "pairs": 100}, "subset": 100}


def transfer(run: str) -> dict[str, object]:
    """The transfer of a run, under whose name its result is made up too."""
    return {"run": run, "dataset": "digits", "task": {"name": "linear"}}


def save(kind: str, key: str, name: str, text: str) -> None:
    folder = result_dir(kind, key)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def change(kind: str, key: str, **metrics: object) -> None:
    """Change numbers of a `metrics.json`, or take out those given as Ellipsis."""
    content = json.loads((result_dir(kind, key) / "metrics.json").read_text()) | metrics
    save(kind, key, "metrics.json", json.dumps({name: value for name, value in content.items() if value is not ...}))


def fill(plan: Study) -> None:
    """Plausible results for every entry of a study."""
    for name in plan.runs:
        save("pretrain", name, "history.csv", "".join(history(plan, name)))
        for kind, metrics in plausible(plan, name).items():
            save(kind, name, "metrics.json", json.dumps(metrics))
    for key in plan.analyse:
        save("analyse", key, "metrics.json", json.dumps({"correlation": 0.71, "samples": 100}))
    for dataset in plan.datasets:
        save("contract", dataset, "contract.json", json.dumps(contract(dataset)))


def plausible(plan: Study, name: str) -> dict[str, dict]:
    options = plan.runs[name]
    top1 = LINEAR.get(re.sub(r"_\d+$", "", name), 80.0) + options.seed * 0.5
    severities = {
        f"{corruption}_{severity}": top1 * math.exp(-severity * (0.1 + 0.1 * turn))
        for turn, corruption in enumerate(plan.corrupt.corruptions)
        for severity in range(1, 6)
    }
    means = {
        corruption: sum(severities[f"{corruption}_{severity}"] for severity in range(1, 6)) / 5
        for corruption in plan.corrupt.corruptions
    }
    mean = sum(means.values()) / len(means)
    masked = {f"mask_{rate}": top1 - 30 * (rate / 100) ** 3 for rate in [0, *plan.mask.rates]}
    attacked = {
        setting: top1 / (1 + 60 * values.epsilon * values.iterations / 5)
        for setting, values in plan.attack.settings.items()
    }
    return {
        "pretrain": {
            "steps": 32 * options.epochs,
            "epochs": options.epochs,
            "seconds": 12.5 * options.epochs,
            "images_per_second": 1600.0 if options.epochs else 0.0,
            "peak_memory_mb": 640.0,
            "loss": -1.8 if options.epochs else None,
            **(beside(top1 - 5) if options.epochs else {}),
            "parameters": 308_976,
            "multiply_adds": 2_100_000,
            "receptive_field": 47,
            "stride": 8,
            "map_size": 4,
        },
        "linear": {"top1": top1},
        "knn": {f"top1_k{k}": top1 - 4 - k / 100 for k in plan.knn.neighbours},
        "corrupt": {"clean": top1, **severities, **means, "mean": mean, "mean_error": 100 - mean, "samples": 200},
        "mask": {**masked, "mean": sum(masked.values()) / len(masked), "samples": 200},
        "attack": {**within({"clean": top1, **attacked}), "samples": 100},
        "transfer": {"top1": top1 + 8},
    }


def within(attacked: dict[str, float]) -> dict[str, float]:
    """Accuracies, each in an interval."""
    return {f"{name}{end}": top1 + by for name, top1 in attacked.items() for end, by in INTERVAL.items()}


def beside(top1: float) -> dict[str, float]:
    """What is measured beside a training that goes well."""
    return {
        "online_linear": top1,
        "online_plain": top1 - 2,
        "online_knn": top1 - 1,
        "rank": 12.5,
        "spread": 0.85,
        "collapsed": 0,
    }


def history(plan: Study, name: str) -> Iterable[str]:
    """Every other step, and every sixteenth with what was measured beside it."""
    options = plan.runs[name]
    local = options.modifier.name == "co"
    terms = ["global", "local"] if local else ["global"] if options.epochs else []
    yield ",".join(["step", "epoch", "learning_rate", "loss", *terms, *(beside(0) if options.epochs else [])]) + "\n"
    for step in range(0, 32 * options.epochs, 2):
        loss = -1.9 + 1.5 * math.exp(-step / 12) + 0.03 * math.sin(step * (3 + options.seed))
        values = [step, step / 32, 0.1, loss * (1.4 if local else 1), loss, loss * 0.4][: 4 + len(terms)]
        measured = beside(50 + step / 2 + options.seed).values() if step % 16 == 14 else [""] * len(beside(0))
        yield ",".join(map(str, [*values, *measured])) + "\n"


def contract(dataset: str) -> dict:
    lines = [
        {"split": split, "expectation": f"has {samples} samples", "held": True, "observed": samples, "allowed": samples}
        for split, samples in (("train", 1000), ("test", 200))
    ]
    return {
        "dataset": dataset,
        "held": True,
        "classes": [str(number) for number in range(10)],
        "splits": {
            "train": {"samples": 1000, "shards": 1, "bytes": 523_000},
            "test": {"samples": 200, "shards": 1, "bytes": 104_600},
        },
        "expectations": [line | {"broken_by": []} for line in lines],
    }


def made(plan: Study, name: str = "report") -> Path:
    directory = Path(name)
    directory.mkdir()
    report(plan, "", directory)
    return directory


def page(plan: Study) -> str:
    return (made(plan) / "index.html").read_text()
