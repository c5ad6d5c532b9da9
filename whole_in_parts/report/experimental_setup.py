"""The experimental setup of a study in words, as a paper has it in its section of that name.

It follows from the effective options, with what `params.yaml` leaves to defaults, from measured sizes, and from the
versions of what it was run with. The same study and results give the same text.
"""

from collections.abc import Callable, Iterable
from importlib.metadata import version

from whole_in_parts.config.evaluations import Robustness
from whole_in_parts.config.runs import Run
from whole_in_parts.config.section import Section
from whole_in_parts.report import captions
from whole_in_parts.report.findings import Findings
from whole_in_parts.report.groups import Group, summarise

PROJECT_VERSION = "0.1.0"
"""The version of this project, as pyproject.toml has it: a study runs from a checkout, which has no metadata."""

TRAINING = {"dataset", "split", "start", "epochs", "batch_size", "accumulate", "precision", "optimizer"}
OF_SGD = {"schedule", "epochs", "batch_size", "learning_rate", "weight_decay", "crops"}
"""Options of the linear probe that L-BFGS ignores, and the other probe."""


def paragraphs(findings: Findings) -> list[str]:
    """Return the paragraphs: data, networks, pretraining, evaluation, and what it was run with."""
    return [
        f"Data. {' '.join(datasets(findings))}",
        f"Backbones. {' '.join(backbones(findings))}",
        f"Pretraining. {' '.join([*methods(findings), *trainings(findings), *views(findings)])}",
        f"Evaluation. {' '.join([*probes(findings), *robustness(findings), *further(findings)])}",
        f"Seeds and software. {seeds(findings)} {software()}",
    ]


def markdown(findings: Findings) -> str:
    """Return the setup as a Markdown document of its own."""
    return "\n\n".join(["# Experimental setup", *paragraphs(findings)]) + "\n"


def datasets(findings: Findings) -> Iterable[str]:
    """Yield a sentence on each dataset: the images of each split, as packed, and the classes."""
    for name, dataset in findings.study.datasets.items():
        contract = findings.measured.contracts.get(name)
        expected = {} if dataset.expect is None else {key: getattr(dataset.expect, key) for key in ("train", "test")}
        packed = {split: size.samples for split, size in contract.splits.items()} if contract else expected
        sizes = [f"{count:,} {split}" for split, count in packed.items() if count]
        known = len(contract.classes) if contract else dataset.expect.classes if dataset.expect else 0

        images = f"{listed(sizes)} images" if sizes else "images of unknown number"
        classes = f" of {known} classes" if known else ""
        part = f", {dataset.fraction:.0%} of the training images of each class" if dataset.fraction < 1 else ""
        origin = "" if name == dataset.source.name else f" ({dataset.source.name})"
        yield f"{name}{origin} has {images}{classes}{part}."


def backbones(findings: Findings) -> Iterable[str]:
    """Yield a sentence on each backbone: its shape, parameters and the size of its input."""
    kinds = alike(findings.groups, lambda run: f"{run.backbone.model_dump_json()} {run.image_size}")
    for members in kinds:
        run = members[0].options
        count = summarise(findings.measured, members[0], "pretrain", "parameters").mean
        size = f", {count:,.0f} parameters" if count else ""
        of = names(members, findings.groups, "all groups")
        yield f"{run.backbone.name} ({run.backbone.summary}{size}) at {run.image_size} px is that of {of}."


def methods(findings: Findings) -> Iterable[str]:
    """Yield a sentence on each method with its modifier and their options."""
    for members in alike(findings.groups, lambda run: f"{run.method.model_dump_json()} {run.modifier}"):
        group = members[0]
        used = [group.options.method, group.options.modifier]
        told = "; ".join(options for section in used if (options := in_words(section)))
        yield f"{names(members, findings.groups, 'All groups')}: {group.method}{f' ({told})' if told else ''}."


def trainings(findings: Findings) -> Iterable[str]:
    """Yield a sentence on each training schedule: epochs, steps, batch, optimizer and rate."""
    trained = [group for group in findings.groups if group.options.epochs]
    for members in alike(trained, lambda run: run.model_dump_json(include=TRAINING)):
        run = members[0].options
        steps = summarise(findings.measured, members[0], "pretrain", "steps").mean
        length = f"{count(run.epochs, 'epoch')}{f' ({steps:,.0f} steps)' if steps else ''}"
        rate = run.optimizer.learning_rate * run.batch_size / 256
        pieces = f" in {run.accumulate} accumulated pieces" if run.accumulate > 1 else ""
        trained_names = names(members, trained, "All that are trained")
        start = f", beginning with {run.start}" if run.start else ""
        yield (
            f"{trained_names}: {run.dataset}, {run.split}, for {length}{start}, in {run.precision} and batches of "
            f"{run.batch_size:,} images{pieces}, by {run.optimizer.name} at a peak learning rate of {rate:g} "
            f"({in_words(run.optimizer)}; this learning rate is for 256 images)."
        )


def views(findings: Findings) -> Iterable[str]:
    """Yield a sentence on each pair of augmentations."""
    trained = [group for group in findings.groups if group.options.epochs]
    for members in alike(trained, lambda run: "".join(view.model_dump_json() for view in run.views)):
        first, second = members[0].options.views
        both = "Both views" if first == second else "The first view"
        other = "" if first == second else f"; the second: {in_words(second)}"
        yield f"{both} of {names(members, trained, 'all that are trained')}: {in_words(first)}{other}."


def probes(findings: Findings) -> Iterable[str]:
    """Yield sentences on the frozen features and on the probes that read them."""
    study = findings.study
    yield f"Backbones are frozen; the features are {listed(study.extract.representations)} ({study.extract.precision})."
    yield f"Linear probe: {in_words(study.linear, OF_SGD if study.linear.solver == 'lbfgs' else {'crops'})}."
    if study.linear.crops:
        yield f"Linear probe on random crops: {in_words(study.linear.crops)}."
    if study.knn.runs != []:
        yield f"kNN{of_runs(study.knn.runs)}: {in_words(study.knn, {'runs'})}."


def robustness(findings: Findings) -> Iterable[str]:
    """Yield sentences on corruptions, masks and attacks."""
    study = findings.study
    if study.corrupt.corruptions:
        kinds = listed([captions.plain(name) for name in study.corrupt.corruptions])
        yield f"Corruptions{on(study.corrupt)}: {kinds}, each at five severities."
    if study.mask.rates:
        yield f"Internal masking{on(study.mask)}: {listed(study.mask.rates)} % of the local representations dropped."
    if study.attack.settings:
        settings = "; ".join(captions.in_words(name, setting) for name, setting in study.attack.settings.items())
        yield f"L∞ PGD{on(study.attack)}: {settings}."


def on(evaluation: Robustness) -> str:
    """Say on how many images an evaluation of robustness is, of which runs, and by which classifier."""
    return f"{of_runs(evaluation.runs)}, {captions.classifier(evaluation)} on {evaluation.subset:,} test images"


def of_runs(runs: list[str] | None) -> str:
    """Name the runs that an evaluation is asked of, unless these are all."""
    return "" if runs is None else f" of {listed(runs)}"


def further(findings: Findings) -> Iterable[str]:
    """Yield a sentence on each kind of transfer and analysis, with its options."""
    entries = {
        f"Transfer to {entry.dataset}, {captions.plain(entry.task.name)} ({in_words(entry.task)})": None
        for entry in findings.study.transfer.values()
    } | {
        f"Analysis of {entry.subset:,} images of {entry.dataset}, {captions.plain(entry.analysis.name)} "
        f"({in_words(entry.analysis)})": None
        for entry in findings.study.analyse.values()
    }
    for entry in entries:
        yield f"{entry.removesuffix(' ()')}."


def seeds(findings: Findings) -> str:
    """Say which seeds each group has."""
    by_seeds: dict[str, list[str]] = {}
    for group in findings.groups:
        own = listed(sorted(findings.study.runs[run].seed for run in group.runs))
        by_seeds.setdefault(own, []).append(group.name)
    if len(by_seeds) == 1:
        return f"Seeds: {own}."
    return " ".join(f"Seeds of {listed(members)}: {own}." for own, members in by_seeds.items())


def software() -> str:
    """Name the versions that the report is written with."""
    return f"Whole in Parts {PROJECT_VERSION}, torch {version('torch')}, torchvision {version('torchvision')}."


def alike(groups: list[Group], key: Callable[[Run], str]) -> list[list[Group]]:
    """Collect the groups whose options have the same key, in their order."""
    kinds: dict[str, list[Group]] = {}
    for group in groups:
        kinds.setdefault(key(group.options), []).append(group)
    return list(kinds.values())


def names(groups: list[Group], of: list[Group], all_of_them: str) -> str:
    """Name some groups in a sentence, or all of several."""
    return all_of_them if len(groups) == len(of) > 1 else listed(group.name for group in groups)


def count(number: int, what: str) -> str:
    """Format a number of things."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def in_words(section: Section, leave_out: Iterable[str] = ()) -> str:
    """Format options as "key value, key value", without the name and without those that are not set."""
    return options_in_words({key: value for key, value in section.model_dump().items() if key not in leave_out})


def options_in_words(options: dict[str, object]) -> str:
    """Format nested options, each level in brackets."""
    told = {key: value for key, value in options.items() if key != "name" and value not in (None, [], ())}
    return ", ".join(f"{captions.plain(key)} {value_in_words(value)}" for key, value in told.items())


def value_in_words(value: object) -> str:
    """Format one value of an option."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return f"({options_in_words(value)})"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_in_words, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def listed(items: Iterable[object]) -> str:
    """Join the distinct items as prose: "a, b and c"."""
    *most, last = dict.fromkeys(map(str, items)) or ["no"]
    return f"{', '.join(most)} and {last}" if most else last
