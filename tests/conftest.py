"""Tiny real inputs for the tests of stages: scikit-learn's digits, packed once, and a small study built on them."""

from contextlib import chdir
from pathlib import Path

import pytest
import torch

from stages import program, study
from stages.extract import extract
from stages.images.shards import Images, Shards
from stages.linear import linear
from stages.pretrain import pretrain
from stages.shard import pack
from stages.sources import digits
from stages.study import Study

torch.set_num_threads(1)

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the project."""
    return ROOT


@pytest.fixture(autouse=True)
def seed() -> None:
    """What a test draws by torch's own generator is the same each time."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def small() -> Study:
    """The shipped small study, with a run that learns enough for an accuracy to mean something."""
    shipped = study.load(ROOT / "workflow/studies/small.yaml")
    run = shipped.runs["byol"].model_dump() | {"method": {"name": "supervised"}, "epochs": 6}
    return Study.model_validate(shipped.model_dump() | {"runs": shipped.runs | {"supervised": run}})


@pytest.fixture(scope="session")
def shards(small, tmp_path_factory) -> Path:
    """The digits as shards, `train/` and `test/`."""
    options = small.datasets["digits"]
    fetched, packed = tmp_path_factory.mktemp("fetched"), tmp_path_factory.mktemp("packed")
    digits.fetch(options.source, fetched)
    content = digits.read(options.source, fetched)
    for split, samples in content.splits.items():
        (packed / split).mkdir()
        pack(samples, content.classes, packed / split, options.samples_per_shard, split)
    return packed


@pytest.fixture(scope="session")
def images(shards) -> Images:
    """The training digits, decoded: 1,347 of 1×8×8."""
    return Images(Shards(shards / "train"), 8, 1)


def offer(shards: Path, folder: Path) -> None:
    """Put the shards where stages that run in the folder look for them."""
    place = folder / program.result("shard", "digits")
    place.parent.mkdir(parents=True)
    place.symlink_to(shards)


@pytest.fixture
def place(shards, tmp_path, monkeypatch) -> Path:
    """An empty place to work in, in which only the digits are packed already."""
    offer(shards, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def results(small, shards, tmp_path_factory) -> Path:
    """A place in which the run `supervised` is pretrained, its features extracted and its probe trained."""
    folder = tmp_path_factory.mktemp("results")
    offer(shards, folder)
    with chdir(folder):
        for stage in (pretrain, extract, linear):
            with program.whole(stage.__name__, "supervised") as directory:
                stage(small, "supervised", directory)
    return folder


@pytest.fixture
def built(results, monkeypatch) -> Path:
    """A test that runs where the results of `supervised` are, and leaves them as they are."""
    monkeypatch.chdir(results)
    return results
