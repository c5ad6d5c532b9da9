"""Select the options that a stage reads, with the defaults that params.yaml omits, and nothing else of the study."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic_core import to_jsonable_python

from whole_in_parts.config.evaluations import NOT_ASKED
from whole_in_parts.config.section import Section
from whole_in_parts.config.study import Study


class Reads(NamedTuple):
    """The options of a kind of stage: the section whose entries are its keys, and the paths in the study.

    In a path, `{key}` is the entry, `{run}` its run, `{dataset}` the dataset of that run, and `{evaluated}` the dataset
    whose images the entry evaluates: its own, or else that of the run. `{start}` is each run that the run begins with,
    directly or not.
    """

    section: str
    paths: tuple[str, ...]


_TRANSFORM = "datasets.{evaluated}.test_transform"
_INPUTS = ("runs.{run}.dataset", "runs.{run}.backbone", _TRANSFORM)

_PACKING = ("source", "classes", "fraction", "samples_per_shard")

KINDS = {
    "fetch": Reads("datasets", ("datasets.{key}.source",)),
    "shard": Reads("datasets", tuple(f"datasets.{{key}}.{name}" for name in _PACKING)),
    "contract": Reads("datasets", ("datasets.{key}.expect",)),
    "pretrain": Reads("runs", ("runs.{key}", "runs.{start}", _TRANSFORM)),
    "extract": Reads("runs", ("extract", *_INPUTS)),
    "linear": Reads("runs", ("linear", *_INPUTS)),
    "knn": Reads("runs", ("knn",)),
    "corrupt": Reads("runs", ("corrupt", *_INPUTS, "datasets.{evaluated}.corrupted")),
    "mask": Reads("runs", ("mask", *_INPUTS)),
    "attack": Reads("runs", ("attack", *_INPUTS)),
    "transfer": Reads("transfer", ("transfer.{key}", "runs.{run}.backbone", _TRANSFORM)),
    "analyse": Reads("analyse", ("analyse.{key}", "runs.{run}", "datasets.{dataset}.expect.classes", _TRANSFORM)),
    "export": Reads("export", ("export.{key}", "runs.{run}.backbone")),
    "report": Reads("", tuple(name for name in Study.model_fields if name not in ("recipes", "grids", "export"))),
}
"""All kinds of stages except `resolve`, which reads the whole study."""


def keys(study: Study, kind: str) -> list[str]:
    """List the keys of the stages of a kind; a kind without keys has one stage, with the empty key."""
    section = KINDS[kind].section
    return list(getattr(study, section)) if section else [""]


def read_by(study: Study, kind: str, key: str) -> Study:
    """Reduce the study to the options that a stage reads; access to any other option is an AttributeError.

    An evaluation of some runs alone is that of this run, or one that is not asked for, whatever other runs it names.
    """
    if kind in NOT_ASKED:
        section = getattr(study, kind)
        own = section.model_copy(update={"runs": [key]}) if section.asks(key) else NOT_ASKED[kind]
        study = study.model_copy(update={kind: own})

    tree: dict[str, Any] = {}
    for path in _paths(study, kind, key):
        branch = tree
        for part in path.split("."):
            branch = branch.setdefault(part, {})
    return _pruned(study, tree)


def _paths(study: Study, kind: str, key: str) -> Iterator[str]:
    """Fill in the key, the run and the dataset in the paths of a kind."""
    reads = KINDS[kind]
    entry = getattr(study, reads.section)[key] if reads.section else None
    run = getattr(entry, "run", key)
    dataset = study.runs[run].dataset if run in study.runs else ""
    evaluated = getattr(entry, "dataset", dataset)
    for path in reads.paths:
        for start in starts(study, run) if "{start}" in path else [""]:
            yield path.format(key=key, run=run, dataset=dataset, evaluated=evaluated, start=start)


def starts(study: Study, run: str) -> list[str]:
    """List the runs that a run begins with, directly or not."""
    start = study.runs[run].start
    return [start, *starts(study, start)] if start else []


def _pruned(value: Any, tree: dict[str, Any]) -> Any:
    """Copy a part of the study with only the branches of the tree; a leaf of the tree keeps everything below it.

    An option that is left out has nothing below it.
    """
    if not tree or value is None:
        return value
    if isinstance(value, dict):
        return {name: _pruned(value[name], branch) for name, branch in tree.items()}
    pruned = type(value).model_construct()
    pruned.__dict__.clear()
    pruned.__dict__.update({name: _pruned(getattr(value, name), branch) for name, branch in tree.items()})
    return pruned


def effective(value: Any) -> Any:
    """Convert a part of the study to JSON types, with defaults.

    Results also depend on the values that a class of options derives (its properties) and on its class variables, so
    both are included.
    """
    if isinstance(value, Section):
        return {name: effective(inner) for name, inner in [*value.__dict__.items(), *_derived(value)]}
    if isinstance(value, dict):
        return {name: effective(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [effective(inner) for inner in value]
    return to_jsonable_python(value)


ONLY_CHECKED = {"modifiable", "model_config", "modifies", "needs_whole_batch", "queued_views", "trains"}
"""Class variables that only the validation of a study uses."""


def _derived(section: Section) -> Iterator[tuple[str, Any]]:
    """List the properties and class variables of a section that results may depend on."""
    classes = [cls for cls in type(section).__mro__ if issubclass(cls, Section)]
    for name in sorted({name for cls in classes for name in vars(cls)} - ONLY_CHECKED):
        declared = getattr(type(section), name, None)
        if isinstance(declared, property):
            yield name, getattr(section, name)
        elif name in type(section).__class_vars__ and not name.startswith("_"):
            yield name, declared


def implementations(value: Any) -> dict[str, set[str]]:
    """Collect the modules that a part of the study names, by their package: `{"methods": {"byol"}}`."""
    modules: dict[str, set[str]] = {}
    queue = [value]
    while queue:
        part = queue.pop()
        inner = part.__dict__ if isinstance(part, Section) else part if isinstance(part, dict) else {}
        for field, option in inner.items():
            if isinstance(option, Section) and hasattr(option, "name"):
                modules.setdefault(_package(field), set()).add(option.name)
            elif field == "corruptions":
                modules.setdefault(field, set()).update(option)
        queue += inner.values()
    return modules


def _package(field: str) -> str:
    """Return the package with the implementations of an option: `methods` for `method`, `analyses` for `analysis`."""
    return "analyses" if field == "analysis" else f"{field}s"
