"""Check the contracts of all results that are there: `make contracts`.

Those of datasets are a stage of their own, which every build runs. Here are the others: of models, whose weights are
finite; of features, which have the keys of the index, one dimension in both splits, finite values and not many constant
ones; of metrics, which are all there and within their ranges. Expectations are evaluated by Great Expectations.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from torch import Tensor

from whole_in_parts.config.study import Study, load_study
from whole_in_parts.data.expectations import VALUES, TableContract, equal, expectation, judge, within
from whole_in_parts.data.shards import Shards
from whole_in_parts.evaluation import features
from whole_in_parts.failure import Failure
from whole_in_parts.models import weight_file
from whole_in_parts.report.asked import EVALUATIONS, asked_of_analysis, expected_metrics
from whole_in_parts.results import result_dir

SPLITS = ("train", "test")
VARYING = 0.9
"""The least share of features that vary: a few units of a ReLU may be off for all images, most are not."""
ABSENT = "absent"
COUNT = "samples"
"""The one metric of an evaluation that is no accuracy: the number of images."""


def main() -> None:
    """Print how many expectations hold.

    Raises:
        SystemExit: one is broken, or a result cannot be read.
    """
    try:
        verdicts = judge(contracts(load_study()))
    except (Failure, ValueError, OSError) as error:
        sys.exit(f"workflow.contracts: error: {error}")

    broken = [verdict for verdict in verdicts if not verdict["held"]]
    if broken:
        lines = ["{split}: {expectation}: observed {observed}; allowed {allowed}".format(**each) for each in broken]
        sys.exit("\n".join([*lines, f"{len(broken)} of {len(verdicts)} expectations are broken"]))
    print(f"all {len(verdicts)} expectations on the results hold")


def contracts(study: Study) -> Iterator[TableContract]:
    """Yield the contracts of all results of a study that are there."""
    for run in study.runs:
        yield from of_run(study, run)
    for key, transfer in study.transfer.items():
        yield from of_metrics(result_dir("transfer", key), [transfer.task.headline], accuracies=True)
    for key in study.analyse:
        yield from of_metrics(result_dir("analyse", key), asked_of_analysis(study, key), accuracies=False)


def of_run(study: Study, run: str) -> Iterator[TableContract]:
    """Yield the contracts of the model of a run, of its features and of its metrics."""
    yield from of_model(result_dir("pretrain", run) / "model")
    shards = result_dir("shard", study.runs[run].dataset)
    yield from of_features(result_dir("extract", run), shards, study.extract.representations)
    for kind in EVALUATIONS:
        if kind != "transfer":
            yield from of_metrics(result_dir(kind, run), expected_metrics(study, run, kind), accuracies=True)


def of_model(folder: Path) -> Iterator[TableContract]:
    """Expect finite weights, if there is a model."""
    if not folder.exists():
        return
    weights = weight_file.read(folder / "model.safetensors")
    rows = [(name, float(tensor.isfinite().double().mean())) for name, tensor in weights.items() if tensor.numel()]
    table = pd.DataFrame(rows, columns=["tensor", "finite"])
    yield TableContract(str(folder), table, ["tensor"], [within("weights are finite", "finite", 1, 1)])


def of_features(folder: Path, shards: Path, names: list[str]) -> Iterator[TableContract]:
    """Yield the contracts of the features of a run: keys, and each representation in both splits."""
    if not folder.exists():
        return
    for split in SPLITS:
        stored = features.read(folder / f"{split}.arrow", names[0]).keys
        yield of_keys(folder / split, stored, Shards(shards / split).keys)

    for name in names:
        by_split = {split: features.read(folder / f"{split}.arrow", name).features_ND for split in SPLITS}
        widths = pd.DataFrame({split: [values_ND.shape[1]] for split, values_ND in by_split.items()})
        same = equal("both splits have as many features", "the number in train", "test", "train")
        yield TableContract(f"{folder} {name}", widths, [*SPLITS], [same])
        for split, values_ND in by_split.items():
            yield of_values(f"{folder / split} {name}", values_ND)


def of_keys(place: Path, stored: list[str], indexed: list[str]) -> TableContract:
    """Expect features of all images of the index, in its order."""
    pairs = pd.concat([pd.Series(stored, name="key"), pd.Series(indexed, name="indexed")], axis=1).fillna(ABSENT)
    same = equal("features are those of the index, in its order", "the keys of the index", "key", "indexed")
    return TableContract(str(place), pairs, ["key"], [same])


def of_values(place: str, values_ND: Tensor) -> TableContract:
    """Expect finite values, and few features that are the same for all images."""
    finite_D = values_ND.isfinite().double().mean(0)
    varies_D = (values_ND.nan_to_num().double().std(0) > 0).double()
    table = pd.DataFrame({"feature": range(len(finite_D)), "finite": finite_D, "varies": varies_D})

    least = f"at least {VARYING:.0%} of them"
    vary = expectation("features vary", least, VALUES, column="varies", min_value=1, mostly=VARYING)
    return TableContract(place, table, ["feature"], [within("features are finite", "finite", 1, 1), vary])


def of_metrics(folder: Path, expected: list[str], accuracies: bool) -> Iterator[TableContract]:
    """Expect all metrics that the study asks for, if the stage has run; accuracies are from 0 to 100."""
    if not folder.exists():
        return
    found = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    numbers = {name: value for name, value in found.items() if isinstance(value, int | float)}
    names = dict.fromkeys([*expected, *numbers])
    rows = [(name, name if name in numbers else ABSENT, float(numbers.get(name, 0))) for name in names]
    table = pd.DataFrame(rows, columns=["metric", "found", "value"])

    there = equal("every metric that is asked for is there", "a number", "metric", "found")
    yield TableContract(str(folder), table, ["metric"], [there])
    if accuracies:
        ranged = within("accuracies are within their range", "value", 0, 100)
        yield TableContract(str(folder), table[table["metric"] != COUNT], ["metric", "value"], [ranged])


if __name__ == "__main__":
    main()
