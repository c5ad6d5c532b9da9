"""A stage is stale if and only if its effective options, its code or its inputs differ, and both engines say so.

Nothing is built here: the records are written as the first stage would write them, and both engines are asked.
"""

import copy
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from dvc.repo import Repo
from pydantic_core import PydanticUndefined

from whole_in_parts.config.analyses.neighbours import NeighboursConfig
from whole_in_parts.config.evaluations import AttackSetting, Evaluation, Linear
from whole_in_parts.config.export import Export
from whole_in_parts.config.modifiers.co import COConfig
from whole_in_parts.config.runs import Run
from whole_in_parts.config.section import Section
from whole_in_parts.config.study import Study
from whole_in_parts.config.training import Online, Optimizer
from whole_in_parts.config.views import View
from workflow import dvc_stages
from workflow.provenance import code
from workflow.provenance.record import records
from workflow.read_once import read_once

ROOT = Path(__file__).parents[2]
SMALL = ROOT / "workflow/studies/small.yaml"


def asked(section: dict[str, Any], run: str) -> dict[str, Any] | None:
    """An evaluation as a run sees it: whether it is asked for, and not of which other runs."""
    return section | {"runs": [run]} if section["runs"] is None or run in section["runs"] else None


def options_of(content: dict[str, Any]) -> dict[str, Any]:
    """What each stage of the small study reads, out of a whole study as it is written out with its defaults."""
    datasets, runs = content["datasets"], content["runs"]
    read: dict[str, Any] = {}
    for key, dataset in datasets.items():
        read[f"fetch@{key}"] = dataset["source"]
        read[f"shard@{key}"] = [dataset[name] for name in ("source", "classes", "fraction", "samples_per_shard")]
        read[f"contract@{key}"] = dataset["expect"]
    for key, run in runs.items():
        transform = datasets[run["dataset"]]["test_transform"]
        looks_at = [run["dataset"], run["backbone"], transform]
        read[f"pretrain@{key}"] = [run, transform, *([runs[run["start"]]] if run["start"] else [])]
        read[f"extract@{key}"] = [looks_at, content["extract"]]
        read[f"linear@{key}"] = [looks_at, content["linear"]]
        read[f"knn@{key}"] = asked(content["knn"], key)
        for kind in ("corrupt", "mask", "attack"):
            read[f"{kind}@{key}"] = [looks_at, asked(content[kind], key)]
        read[f"corrupt@{key}"].append(datasets[run["dataset"]]["corrupted"])
    for key, entry in content["transfer"].items():
        read[f"transfer@{key}"] = [entry, runs[entry["run"]]["backbone"], datasets[entry["dataset"]]["test_transform"]]
    for key, entry in content["analyse"].items():
        run = runs[entry["run"]]
        classes = datasets[run["dataset"]]["expect"]["classes"]
        read[f"analyse@{key}"] = [entry, run, classes, datasets[entry["dataset"]]["test_transform"]]
    for key, entry in content["export"].items():
        read[f"export@{key}"] = [entry, runs[entry["run"]]["backbone"]]
    unread = ("recipes", "grids", "export")
    return read | {"report": {name: value for name, value in content.items() if name not in unread}}


def differing(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    old, new = options_of(before), options_of(after)
    return {stage for stage in old if old[stage] != new.get(stage)}


class Engines:
    """Both engines at a copy of the built study, asked what has changed without anything being built.

    A study reaches both through its records alone, and these by their hashes. So each engine is asked once for each set
    of records that differ, whatever is in them.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.repo = Repo(str(folder))
        self.stages = list(self.repo.index.stages)
        self.texts = {path: (folder / dvc_stages.RECORDS / path).read_text() for path in self._records()}
        self.answers: dict[frozenset[Path], tuple[set[str], set[str]]] = {}

    def stale(self, study: Study) -> tuple[set[str], set[str]]:
        """The stages that are stale for Snakemake, and for DVC."""
        written = {path: text for path, text in records(study) if self.texts.get(path) != text}
        if (changed := frozenset(written)) not in self.answers:
            self.answers[changed] = self.snakemake(study), self.dvc(written)
        return self.answers[changed]

    def _records(self) -> list[Path]:
        folder = self.folder / dvc_stages.RECORDS
        return [file.relative_to(folder) for file in folder.rglob("*.json")]

    def dvc(self, written: dict[Path, str]) -> set[str]:
        """The stages that `dvc status` names when the first stage has written the records that differ."""
        try:
            self._write(written)
            with self.repo.lock:
                return {stage.addressing for stage in self.stages if stage.status()} - {"resolve"}
        finally:
            self._write({path: self.texts[path] for path in written})

    def _write(self, texts: dict[Path, str]) -> None:
        for path, text in texts.items():
            (self.folder / dvc_stages.RECORDS / path).write_text(text)

    def snakemake(self, study: Study) -> set[str]:
        """The stages that the Snakefile finds changed, by the records as they will be."""
        with read_once():
            changed = dvc_stages._changed(self.repo, study)
        return {output.removeprefix("results/").replace("/", "@") for output in changed} - {"resolve"}


@pytest.fixture(scope="module")
def engines(built, tmp_path_factory) -> Iterator[Engines]:
    folder = built.copy(tmp_path_factory.mktemp("staleness") / "study").folder
    known: dict[str, dict[str, str]] = {}
    hashes = code.hashes

    def hashed_once(program: str, chosen: code.Chosen) -> dict[str, str]:
        """The code stays as it is, so that it is enough to hash it once."""
        key = f"{program} {sorted((package, sorted(names)) for package, names in chosen.items())}"
        return known.setdefault(key, known.get(key) or hashes(program, chosen))

    with pytest.MonkeyPatch.context() as patched, chdir(folder):
        patched.setattr(code, "hashes", hashed_once)
        yield Engines(folder)


def leaves(value: Any, place: tuple = ()) -> Iterator[tuple]:
    """The places of all values in a study."""
    if isinstance(value, dict | list) and value:
        if isinstance(value, list) and not isinstance(value[0], dict | list):
            yield place
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*place, key))
    else:
        yield place


def alternatives(value: Any) -> list[Any]:
    """Other values in the place of one, of which the first that is valid will be taken."""
    words = ["adamw", "co", "resnet", "bagnet", "dino", "sgd", "lbfgs", "nearest", "mean", "basic", "bottleneck", "fog"]
    words += ["fashion_mnist", "byol", "random", "co_byol", "patches", "0" * 64, "b" * 64, "cost", "copy", "layer_1"]
    words += ["logits", "features"]
    if isinstance(value, list):
        return [[*value, other] for other in alternatives(value[-1])]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [other for other in (value + 1, value * 2, value - 1, value // 2, 3 - value) if other != value]
    if isinstance(value, float):
        return [other for other in (value / 2, value + 0.05, value * 0.9) if other != value]
    return [word for word in words if word != value]


def changed_at(place: tuple) -> dict[str, Any] | None:
    """The small study with another valid value in one place; none where it is the only one that is valid."""
    content = yaml.safe_load(SMALL.read_text())
    for value in alternatives(at(content, place)):
        tried = copy.deepcopy(plain(content))
        at(tried, place[:-1])[place[-1]] = value
        try:
            Study.model_validate(tried)
        except ValueError:
            continue
        return tried
    return None


def at(content: Any, place: tuple) -> Any:
    for part in place:
        content = content[part]
    return content


def plain(value: Any) -> Any:
    """A copy in which what was merged is no longer one."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


BEFORE = Study.model_validate(yaml.safe_load(SMALL.read_text()))
PLACES = [place for place in leaves(yaml.safe_load(SMALL.read_text())) if place[0] != "recipes"]
SECTIONS = list(dict.fromkeys(place[0] for place in PLACES))


@pytest.mark.parametrize("section", SECTIONS)
def test_after_an_edit_of_any_leaf_both_engines_call_stale_what_reads_it(engines, section):
    edited = 0
    for place in PLACES:
        if place[0] != section or (content := changed_at(place)) is None:
            continue
        after = Study.model_validate(content)
        expected = differing(BEFORE.model_dump(mode="json"), after.model_dump(mode="json"))
        assert expected, place
        assert engines.stale(after) == (expected, expected), place
        edited += 1
    assert edited > 0


def sections() -> list[type[Section]]:
    """All classes of options."""
    found: list[type[Section]] = []
    waiting = [Section]
    while waiting:
        for cls in waiting.pop().__subclasses__():
            if cls not in found:
                found.append(cls)
                waiting.append(cls)
    return found


NO_OTHER = {(Run, "start"), (Study, "grids"), (Study, "published"), (Export, "format")}
"""Defaults that allow no other: the first run has none above it to start with, no grid and no row of a paper fit every
study, and torchvision has no network of the small one."""

DEFAULTS = [
    (cls, name)
    for cls in sections()
    if cls.__module__.startswith("whole_in_parts.config")
    for name, field in cls.model_fields.items()
    if not field.is_required() and name in cls.__annotations__ and (cls, name) not in NO_OTHER
]


REFUSED_WITHOUT = {(AttackSetting, "restarts"): "random_start"}
"""Defaults that are valid only if that of another option of the class changes with them."""


ALLOWED = {(COConfig, "projector"): [48, 32], (Evaluation, "runs"): ["byol"]}
"""Other defaults of options that the study compares with those of the method."""


def other_default(default: Any, annotation: Any = None) -> Any:
    """Another value for a default; it need not be valid, since defaults are not validated."""
    if default is None and (options := [cls for cls in get_args(annotation) if isinstance(cls, type(Section))]):
        required = [name for name, field in options[0].model_fields.items() if field.is_required()]
        return options[0].model_construct(**dict.fromkeys(required, 1))
    if default is None and int in {part for option in get_args(annotation) for part in (option, *get_args(option))}:
        return 123
    if isinstance(default, bool):
        return not default
    if isinstance(default, int | float):
        return default + 1
    if isinstance(default, Section):
        return default.model_copy(update={next(iter(type(default).model_fields)): 123})
    if isinstance(default, tuple | list):
        return type(default)([*default[:-1], other_default(default[-1])]) if default else type(default)([1])
    return Path("elsewhere") if isinstance(default, Path) else "another"


def innermost_first(cls: type[Section], seen: dict[type[Section], None]) -> dict[type[Section], None]:
    """The classes of options within a class and the class itself, each after those that it holds."""
    if cls not in seen:
        waiting = [field.annotation for field in cls.model_fields.values()]
        while waiting:
            annotation = waiting.pop()
            if isinstance(annotation, type(Section)) and issubclass(annotation, Section):
                innermost_first(annotation, seen)
            waiting += get_args(annotation)
        seen[cls] = None
    return seen


def rebuilt() -> None:
    """Let all classes know of a default that has changed: each holds copies of what the classes within it were."""
    for cls in innermost_first(Study, {}):
        cls.model_rebuild(force=True)


def read_small() -> dict[str, Any]:
    """The small study as it is read now, written out with its defaults."""
    return Study.model_validate(yaml.safe_load(SMALL.read_text())).model_dump(mode="json", warnings=False)


@pytest.fixture
def changed_default():
    """A function that gives a class of options another default; afterwards all are what they were."""
    taken: list[tuple] = []

    def change(cls: type[Section], name: str) -> None:
        inheriting = [cls, *(sub for sub in sections() if issubclass(sub, cls) and name not in sub.__annotations__)]
        fields = {id(each.model_fields[name]): each.model_fields[name] for each in inheriting}
        for field in fields.values():
            taken.append((field, field.default, field.default_factory))
            default = field.default if field.default is not PydanticUndefined else field.default_factory()
            other = ALLOWED.get((cls, name)) or other_default(default, field.annotation)
            field.default, field.default_factory = other, None
        rebuilt()

    yield change
    for field, default, factory in reversed(taken):
        field.default, field.default_factory = default, factory
    rebuilt()
    assert read_small() == BEFORE.model_dump(mode="json")


@pytest.mark.parametrize(("cls", "name"), DEFAULTS, ids=[f"{cls.__name__}.{name}" for cls, name in DEFAULTS])
def test_after_a_change_of_any_default_both_engines_call_stale_whose_options_it_changes(
    engines, changed_default, cls, name
):
    changed_default(cls, name)
    if (cls, name) in REFUSED_WITHOUT:
        changed_default(cls, REFUSED_WITHOUT[cls, name])
    after = Study.model_validate(yaml.safe_load(SMALL.read_text()))
    expected = differing(BEFORE.model_dump(mode="json"), after.model_dump(mode="json", warnings=False))
    assert engines.stale(after) == (expected, expected)


@pytest.mark.parametrize(
    ("cls", "name", "stage"),
    [
        (Optimizer, "learning_rate_end", "pretrain@random"),
        (View, "jitter", "pretrain@byol"),
        (Online, "samples", "pretrain@co_byol"),
        (COConfig, "map_size", "pretrain@co_byol"),
        (Linear, "solver", "linear@byol"),
        (NeighboursConfig, "shown", "analyse@byol_neighbours"),
    ],
)
def test_a_changed_default_reaches_the_stages_that_leave_it_out_however_deep_it_lies(changed_default, cls, name, stage):
    """What the test above asks would hold of changes that do not arrive, too."""
    changed_default(cls, name)
    assert stage in differing(BEFORE.model_dump(mode="json"), read_small())


def test_a_changed_default_leaves_stages_alone_that_say_their_own_value(changed_default):
    changed_default(View, "flip")
    assert differing(BEFORE.model_dump(mode="json"), read_small()) == set()
