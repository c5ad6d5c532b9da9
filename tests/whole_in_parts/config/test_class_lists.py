"""Lists of classes that a dataset names."""

import hashlib
import re
from pathlib import Path

import pytest

from whole_in_parts.config.class_lists import NAMES, read_class_list
from whole_in_parts.config.datasets import Dataset
from workflow.provenance.options import effective, read_by

ROOT = Path(__file__).parents[3]
IMAGENET_100 = "5ee5db69d488bb799a286d8e181801c3d02798776c1ce9203e5450f64e086e07"
"""The sha256 of the 100 WordNet IDs, sorted, one a line."""


def test_imagenet_100_are_the_hundred_classes_whose_hash_the_docs_state():
    classes = read_class_list("imagenet100")
    assert len(set(classes)) == 100
    assert all(re.fullmatch(r"n\d{8}", name) for name in classes)
    assert hashlib.sha256("".join(f"{name}\n" for name in classes).encode()).hexdigest() == IMAGENET_100
    assert IMAGENET_100 in (ROOT / "docs/methods.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_list_is_sorted_as_the_folders_of_its_classes_are(name):
    assert read_class_list(name) == sorted(read_class_list(name))


def test_packing_is_recorded_with_the_classes_that_a_list_names(small):
    content = small.datasets["digits"].model_dump() | {"classes": "imagenet100"}
    study = small.model_copy(update={"datasets": {"images": Dataset.model_validate(content)}})
    assert effective(read_by(study, "shard", "images"))["datasets"]["images"]["classes"] == read_class_list(
        "imagenet100"
    )
