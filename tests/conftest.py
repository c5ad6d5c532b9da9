"""Tiny real inputs for the tests of stages: scikit-learn's digits, packed once, and a small study built on them."""

from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest
import torch

from stages.extract import extract
from stages.linear import linear
from stages.pretrain import pretrain
from stages.shard import pack
from whole_in_parts.config.study import Study, load_study
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.data.sources import digits
from whole_in_parts.results import atomic_output_dir, result_dir

ROOT = Path(__file__).parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=0, help="what a test draws and trains from; see docs/margins.md")
    parser.addoption("--threads", type=int, default=1, help="how many threads torch computes with")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "learns: claims how well something is learnt, by the fixture `claim`")
    torch.set_num_threads(config.getoption("--threads"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "claim" in getattr(item, "fixturenames", ()):
            item.add_marker("learns")


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the project."""
    return ROOT


@pytest.fixture(scope="session")
def seed(request) -> int:
    """The seed of what is trained."""
    return request.config.getoption("--seed")


@pytest.fixture(autouse=True)
def seeded(seed) -> None:
    """What a test draws by torch's own generator is the same each time."""
    torch.manual_seed(seed)


@pytest.fixture
def claim(request) -> Callable[..., None]:
    """A function that holds what was learnt to a bound, and records both for the table of docs/margins.md."""

    def hold(name: str, found: float, above: float | None = None, below: float | None = None) -> None:
        assert (above is None) != (below is None)
        sign, bound = (">", above) if below is None else ("<", below)
        request.node.user_properties.append((name, f"{found:.6g} {sign} {bound:.6g}"))
        assert found > bound if sign == ">" else found < bound, name

    return hold


@pytest.fixture(scope="session")
def small(seed) -> Study:
    """The shipped small study, with a run that learns enough for an accuracy to mean something."""
    content = load_study(ROOT / "workflow/studies/small.yaml").model_dump()
    content["runs"]["supervised"] = content["runs"]["byol"] | {"method": {"name": "supervised"}, "epochs": 6}
    for run in content["runs"].values():
        run["seed"] = seed
    return Study.model_validate(content)


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
    place = folder / result_dir("shard", "digits")
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
            with atomic_output_dir(stage.__name__, "supervised") as directory:
                stage(small, "supervised", directory)
    return folder


@pytest.fixture
def built(results, monkeypatch) -> Path:
    """A test that runs where the results of `supervised` are, and leaves them as they are."""
    monkeypatch.chdir(results)
    return results
