"""The figures: curves of training, and accuracies under corruptions, masks and attacks, one set for each dataset."""

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from whole_in_parts.config.study import Study
from whole_in_parts.evaluation.corruption import SEVERITIES
from whole_in_parts.report import captions
from whole_in_parts.report.asked import ONLINE_METRICS, PATCH_METRICS
from whole_in_parts.report.drawing import FULL, HALF, STYLE, legend, panels
from whole_in_parts.report.groups import Group
from whole_in_parts.report.palette import DASHES, MUTED, looks
from whole_in_parts.report.results import RunResults
from whole_in_parts.report.scene import Drawing, Scene, curves, drawing, points, shared_panels

TERMS = ["--", ":", "-."]
INCHES_PER_CHARACTER = 0.085
"""Width of a character of a tick label, with its share of the gap to the next label."""


def draw(study: Study, groups: list[Group], measured: RunResults) -> list[Drawing]:
    """Draw all figures, in the order of the page."""
    drawings = []
    for dataset in dict.fromkeys(group.options.dataset for group in groups):
        members = [group for group in groups if group.options.dataset == dataset]
        scene = Scene(study, dataset, members, measured, looks(groups))
        drawings += [drawing for figure in (losses, online, corruptions, masks, attacks) for drawing in figure(scene)]
    return drawings


def losses(scene: Scene) -> list[Drawing]:
    """Draw the training losses: a panel for each group, a line for each seed, and the terms of a summed loss."""
    trained = [group for group in scene.groups if any(len(scene.measured.histories[run]) for run in group.runs)]
    if not trained:
        return []

    terms = list(dict.fromkeys(name for group in trained for name in terms_of(scene, group)))
    with mpl.rc_context(STYLE):
        figure, grid = panels(len(trained), FULL, 2.0, 1 if terms else 0)
        for axes, group in zip(grid, trained, strict=True):
            draw_losses(axes, scene, group, terms)
        if terms:
            named = [("loss", "-"), *zip(terms, TERMS * len(terms), strict=False)]
            legend(figure, [Line2D([], [], color=MUTED, ls=dash, label=name) for name, dash in named], len(named))

    caption = "One line for each seed. The losses of different methods are on different scales."
    caption += " Where a loss is a sum, its terms are drawn too." if terms else ""
    return [drawing(scene, "losses", "Training loss", caption, figure)]


def terms_of(scene: Scene, group: Group) -> list[str]:
    """Return the terms of a loss that is a sum, or nothing for a loss of a single term."""
    columns = scene.measured.histories[group.runs[0]].columns
    others = {"step", "epoch", "learning_rate", "loss", *ONLINE_METRICS, *PATCH_METRICS}
    terms = [name for name in columns if name not in others]
    return terms if len(terms) > 1 else []


def draw_losses(axes: Axes, scene: Scene, group: Group, terms: list[str]) -> None:
    """Draw the losses of one group."""
    colour = scene.looks[group.name].colour
    for run in group.runs:
        rows = scene.measured.histories[run]
        axes.plot(rows["epoch"], rows["loss"], color=colour, lw=1.2, alpha=0.85)
        for term in terms_of(scene, group):
            if term in rows:
                axes.plot(rows["epoch"], rows[term], color=colour, lw=0.9, ls=TERMS[terms.index(term) % len(TERMS)])
    axes.set(title=group.name, xlabel="epoch", xmargin=0.02)


def online(scene: Scene) -> list[Drawing]:
    """Draw the kNN accuracy during training, a line for each seed."""

    def fill(axes: Axes, _: str) -> None:
        for group in trained:
            look = scene.looks[group.name]
            for run in group.runs:
                rows = scene.measured.histories[run].dropna(subset="online_knn")
                axes.plot(
                    rows["epoch"], rows["online_knn"], color=look.colour, marker=look.marker, ls=DASHES[look.dash]
                )
        axes.set(xlabel="epoch")

    trained = [
        group for group in scene.groups if all("online_knn" in scene.measured.histories[run] for run in group.runs)
    ]
    caption = "kNN on a part of the images, one line for each seed; the dotted line is chance."
    return (
        [shared_panels(scene, "beside", "Accuracy beside the training", caption, ["beside"], fill, HALF)]
        if trained
        else []
    )


def corruptions(scene: Scene) -> list[Drawing]:
    """Draw the accuracy under corruption, a panel for each corruption; severity 0 is clean."""
    names = scene.study.corrupt.corruptions
    if not names:
        return []

    def fill(axes: Axes, name: str) -> None:
        metrics = ["clean", *[f"{name}_{severity}" for severity in SEVERITIES]]
        curves(axes, scene, [0, *SEVERITIES], "corrupt", metrics)
        axes.set(title=name.replace("_", " "), xlabel="severity", xticks=[0, *SEVERITIES])
        axes.set_xticklabels(["clean", *map(str, SEVERITIES)])

    caption = (
        f"{captions.means(scene.groups)} Each severity of a corruption, "
        f"{captions.classifier(scene.study.corrupt)} on corrupted test images."
        f"{captions.errors(scene.groups, scene.measured)}"
    )
    return [shared_panels(scene, "corruptions", "Accuracy under corruption", caption, names, fill, FULL)]


def masks(scene: Scene) -> list[Drawing]:
    """Draw the accuracy against the percentage of positions that is dropped."""
    if not scene.study.mask.rates:
        return []
    rates = sorted({0, *scene.study.mask.rates})

    def fill(axes: Axes, _: str) -> None:
        curves(axes, scene, rates, "mask", [f"mask_{rate}" for rate in rates])
        axes.set(xlabel="local representations dropped, %", xticks=rates)

    caption = (
        f"{captions.means(scene.groups)} Positions of the map are dropped before it is pooled; the classifier is "
        f"{captions.classifier(scene.study.mask)}."
    )
    return [shared_panels(scene, "masks", "Accuracy under internal masking", caption, ["masks"], fill, width(scene))]


def attacks(scene: Scene) -> list[Drawing]:
    """Draw the robust accuracy for each setting of the attack, with the groups side by side."""
    if not scene.study.attack.settings:
        return []
    names = ["clean", *scene.study.attack.settings]

    def fill(axes: Axes, _: str) -> None:
        for index, group in enumerate(scene.groups):
            shift = 0.7 * ((index + 0.5) / len(scene.groups) - 0.5)
            points(axes, scene, group, [position + shift for position in range(len(names))], names)
        axes.set(xticks=range(len(names)), xlim=(-0.5, len(names) - 0.5))
        labels = [name.replace("_", " ") for name in names]
        is_tight = sum(map(len, labels)) * INCHES_PER_CHARACTER > width(scene) - 1.2
        axes.set_xticklabels(labels, rotation=28 if is_tight else 0, ha="right" if is_tight else "center")
        axes.grid(visible=False, axis="x")

    caption = (
        f"{captions.means(scene.groups)} Pale bars are 95 % intervals of a run, by the number of its images; "
        f"the classifier is {captions.classifier(scene.study.attack)}. "
        f"{captions.attack(scene.study.attack.settings)}"
    )
    return [shared_panels(scene, "attacks", "Robust accuracy under attack", caption, ["attacks"], fill, width(scene))]


def width(scene: Scene) -> float:
    """Return the width of the figures of masks and attacks: half the page, or the full page if they are crowded."""
    return HALF if len(scene.groups) * (1 + len(scene.study.attack.settings)) <= 40 else FULL
