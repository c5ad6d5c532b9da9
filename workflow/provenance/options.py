"""The options that a stage reads, with the defaults that params.yaml leaves out, and nothing else of the study."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic_core import to_jsonable_python

from whole_in_parts.config.section import Section
from whole_in_parts.config.study import Study


class Reads(NamedTuple):
    """What a kind of stage reads: the section whose entries are its keys, and the places in the study.

    In a place, `{key}` is the entry, `{run}` the run that it is of, and `{dataset}` the dataset of that run.
    """

    section: str
    places: tuple[str, ...]


_BACKBONE = ("runs.{run}.dataset", "runs.{run}.backbone")

KINDS = {
    "fetch": Reads("datasets", ("datasets.{key}.source",)),
    "shard": Reads("datasets", ("datasets.{key}.source", "datasets.{key}.samples_per_shard")),
    "contract": Reads("datasets", ("datasets.{key}.expect",)),
    "pretrain": Reads("runs", ("runs.{key}",)),
    "extract": Reads("runs", ("extract", *_BACKBONE)),
    "linear": Reads("runs", ("linear",)),
    "knn": Reads("runs", ("knn",)),
    "corrupt": Reads("runs", ("corrupt", *_BACKBONE)),
    "mask": Reads("runs", ("mask", *_BACKBONE)),
    "attack": Reads("runs", ("attack", *_BACKBONE)),
    "transfer": Reads("transfer", ("transfer.{key}", "runs.{run}.backbone")),
    "analyse": Reads("analyse", ("analyse.{key}", "runs.{run}", "datasets.{dataset}.expect.classes")),
    "report": Reads("", tuple(name for name in Study.model_fields if name != "recipes")),
}
"""Every kind of stage but `resolve`, which reads the whole study."""


def keys(study: Study, kind: str) -> list[str]:
    """The keys of the stages of a kind; a kind without keys has one stage, of the empty key."""
    section = KINDS[kind].section
    return list(getattr(study, section)) if section else [""]


def read_by(study: Study, kind: str, key: str) -> Study:
    """The study as a stage may see it: what it does not read is not there, and asking for it is an AttributeError."""
    tree: dict[str, Any] = {}
    for place in _places(study, kind, key):
        branch = tree
        for part in place.split("."):
            branch = branch.setdefault(part, {})
    return _pruned(study, tree)


def _places(study: Study, kind: str, key: str) -> Iterator[str]:
    reads = KINDS[kind]
    run = getattr(getattr(study, reads.section)[key], "run", key) if reads.section else ""
    dataset = study.runs[run].dataset if run in study.runs else ""
    return (place.format(key=key, run=run, dataset=dataset) for place in reads.places)


def _pruned(value: Any, tree: dict[str, Any]) -> Any:
    """A part of the study with only the branches of the tree, whose leaves stand for all that is under them."""
    if not tree:
        return value
    if isinstance(value, dict):
        return {name: _pruned(value[name], branch) for name, branch in tree.items()}
    kept = type(value).model_construct()
    kept.__dict__.clear()
    kept.__dict__.update({name: _pruned(getattr(value, name), branch) for name, branch in tree.items()})
    return kept


def effective(value: Any) -> Any:
    """The options within a part of a study as JSON has them, defaults included.

    Results also depend on what a class of options derives from them, its properties, and on what it says for all of its
    kind, its class variables, so both are part of it.
    """
    if isinstance(value, Section):
        return {name: effective(inner) for name, inner in [*value.__dict__.items(), *_derived(value)]}
    if isinstance(value, dict):
        return {name: effective(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [effective(inner) for inner in value]
    return to_jsonable_python(value)


ONLY_CHECKED = {"modifiable", "model_config", "modifies", "needs_whole_batch"}
"""Class variables by which a study is checked, and which no result depends on."""


def _derived(section: Section) -> Iterator[tuple[str, Any]]:
    classes = [cls for cls in type(section).__mro__ if issubclass(cls, Section)]
    for name in sorted({name for cls in classes for name in vars(cls)} - ONLY_CHECKED):
        declared = getattr(type(section), name, None)
        if isinstance(declared, property):
            yield name, getattr(section, name)
        elif name in type(section).__class_vars__ and not name.startswith("_"):
            yield name, declared


def implementations(value: Any) -> dict[str, set[str]]:
    """The modules that a part of the study names, by the package in which each is a file: `{"methods": {"byol"}}`."""
    named: dict[str, set[str]] = {}
    waiting = [value]
    while waiting:
        part = waiting.pop()
        inner = part.__dict__ if isinstance(part, Section) else part if isinstance(part, dict) else {}
        for field, option in inner.items():
            if isinstance(option, Section) and hasattr(option, "name"):
                named.setdefault(_package(field), set()).add(option.name)
            elif field == "corruptions":
                named.setdefault(field, set()).update(option)
        waiting += inner.values()
    return named


def _package(field: str) -> str:
    """The package of the implementations of an option: methods for method, analyses for analysis."""
    return "analyses" if field == "analysis" else f"{field}s"
