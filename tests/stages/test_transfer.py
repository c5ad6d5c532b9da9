import json

import pytest

from stages.transfer import transfer
from whole_in_parts.config.study import Study
from whole_in_parts.failure import Failure
from whole_in_parts.results import result_dir


def asked(small: Study, **changes: object) -> Study:
    """The small study, with a transfer of its own."""
    content, entry = small.model_dump(), {"run": "supervised", "dataset": "digits", "task": {"name": "linear"}}
    content["datasets"]["other"] = content["datasets"]["digits"]
    return Study.model_validate(content | {"transfer": {"asked": entry | changes}})


def test_a_linear_transfer_to_the_dataset_of_the_pretraining_is_about_as_good_as_its_probe(
    small, built, tmp_path, claim
):
    transfer(asked(small), "asked", tmp_path)
    expected = json.loads((result_dir("linear", "supervised") / "metrics.json").read_text())
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    claim("difference of top1", abs(metrics["top1"] - expected["top1"]), below=20)
    claim("difference of the mean per class", abs(metrics["mean_per_class"] - metrics["top1"]), below=1)


def test_transfer_reads_the_dataset_that_the_entry_names(small, built, tmp_path):
    with pytest.raises(Failure, match=r"other/train/index\.parquet: not there; make it with: dvc repro shard@other"):
        transfer(asked(small, dataset="other"), "asked", tmp_path)
