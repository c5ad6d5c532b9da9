"""The figures: curves of training, and accuracies under corruptions, masks and attacks, one set for each dataset."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, nan

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from whole_in_parts.config.study import Study
from whole_in_parts.evaluation.corruption import SEVERITIES
from whole_in_parts.report import captions
from whole_in_parts.report.drawing import FULL, HALF, PANELS, STYLE, legend, panels, svg
from whole_in_parts.report.groups import Group, Summary, summarise
from whole_in_parts.report.palette import DASHES, MUTED, Look, looks
from whole_in_parts.report.results import ONLINE_METRICS, RunResults

TERMS = ["--", ":", "-."]


@dataclass(frozen=True)
class Drawing:
    """A figure of a dataset: `name` is its file, `title` and `caption` stand on the page."""

    name: str
    dataset: str
    title: str
    caption: str
    wide: bool
    svg: str


@dataclass(frozen=True)
class Scene:
    """What every figure of a dataset is drawn from."""

    study: Study
    dataset: str
    groups: list[Group]
    measured: RunResults
    looks: dict[str, Look]

    def summaries(self, group: Group, kind: str, metrics: list[str]) -> list[Summary]:
        return [summarise(self.measured, group, kind, metric) for metric in metrics]

    @property
    def chance(self) -> float:
        return 100 / self.study.datasets[self.dataset].expect.classes


def draw(study: Study, groups: list[Group], measured: RunResults) -> list[Drawing]:
    """All figures, in the order of the page."""
    drawings = []
    for dataset in dict.fromkeys(each.options.dataset for each in groups):
        members = [each for each in groups if each.options.dataset == dataset]
        scene = Scene(study, dataset, members, measured, looks(groups))
        drawings += [drawing for figure in (losses, beside, corruptions, masks, attacks) for drawing in figure(scene)]
    return drawings


def drawing(scene: Scene, name: str, title: str, caption: str, figure: Figure) -> Drawing:
    file = f"{scene.dataset}_{name}"
    return Drawing(file, scene.dataset, title, caption, figure.get_figwidth() == FULL, svg(figure, file))


def handles(scene: Scene) -> list[Line2D]:
    """A line for each group, as the legend shows it."""
    found = []
    for each in scene.groups:
        look = scene.looks[each.name]
        found.append(Line2D([], [], color=look.colour, marker=look.marker, ls=DASHES[look.dash], label=each.name))
    return found


def losses(scene: Scene) -> list[Drawing]:
    """A panel for each group that trains: a line for each seed, and the terms of a loss that has several."""
    trained = [each for each in scene.groups if any(len(scene.measured.histories[run]) for run in each.runs)]
    if not trained:
        return []
    terms = list(dict.fromkeys(name for each in trained for name in terms_of(scene, each)))
    with mpl.rc_context(STYLE):
        figure, grid = panels(len(trained), FULL, 2.0, 1 if terms else 0)
        for axes, each in zip(grid, trained, strict=True):
            draw_losses(axes, scene, each, terms)
        if terms:
            named = [("loss", "-"), *zip(terms, TERMS * len(terms), strict=False)]
            legend(figure, [Line2D([], [], color=MUTED, ls=dash, label=name) for name, dash in named], len(named))
    caption = "One line for each seed. The losses of different methods are on different scales."
    caption += " Where a loss is a sum, its terms are drawn too." if terms else ""
    return [drawing(scene, "losses", "Training loss", caption, figure)]


def terms_of(scene: Scene, each: Group) -> list[str]:
    """The terms of a loss that is a sum of several."""
    columns = scene.measured.histories[each.runs[0]].columns
    terms = [name for name in columns if name not in ("step", "epoch", "learning_rate", "loss", *ONLINE_METRICS)]
    return terms if len(terms) > 1 else []


def draw_losses(axes: Axes, scene: Scene, each: Group, terms: list[str]) -> None:
    colour = scene.looks[each.name].colour
    for run in each.runs:
        rows = scene.measured.histories[run]
        axes.plot(rows["epoch"], rows["loss"], color=colour, lw=1.2, alpha=0.85)
        for term in terms_of(scene, each):
            if term in rows:
                axes.plot(rows["epoch"], rows[term], color=colour, lw=0.9, ls=TERMS[terms.index(term) % len(TERMS)])
    axes.set(title=each.name, xlabel="epoch", xmargin=0.02)


def beside(scene: Scene) -> list[Drawing]:
    """kNN as the training went on, a line for each seed."""

    def fill(axes: Axes, _: str) -> None:
        for each in trained:
            look = scene.looks[each.name]
            for run in each.runs:
                rows = scene.measured.histories[run].dropna(subset="online_knn")
                axes.plot(
                    rows["epoch"], rows["online_knn"], color=look.colour, marker=look.marker, ls=DASHES[look.dash]
                )
        axes.set(xlabel="epoch")

    trained = [each for each in scene.groups if all("online_knn" in scene.measured.histories[run] for run in each.runs)]
    caption = "kNN on a part of the images, one line for each seed; the dotted line is chance."
    return (
        [compared(scene, "beside", "Accuracy beside the training", caption, ["beside"], fill, HALF)] if trained else []
    )


def corruptions(scene: Scene) -> list[Drawing]:
    """A panel for each corruption; severity 0 is clean."""
    names = scene.study.corrupt.corruptions
    if not names:
        return []

    def fill(axes: Axes, name: str) -> None:
        metrics = ["clean", *[f"{name}_{severity}" for severity in SEVERITIES]]
        curves(axes, scene, [0, *SEVERITIES], "corrupt", metrics)
        axes.set(title=name.replace("_", " "), xlabel="severity", xticks=[0, *SEVERITIES])
        axes.set_xticklabels(["clean", *map(str, SEVERITIES)])

    caption = (
        f"{captions.means(scene.groups)} Each severity of a corruption, the linear probe on corrupted test images."
        f"{captions.errors(scene.groups, scene.measured)}"
    )
    return [compared(scene, "corruptions", "Accuracy under corruption", caption, names, fill, FULL)]


def masks(scene: Scene) -> list[Drawing]:
    """Accuracy against the share of positions that is dropped."""
    rates = sorted({0, *scene.study.mask.rates})

    def fill(axes: Axes, _: str) -> None:
        curves(axes, scene, rates, "mask", [f"mask_{rate}" for rate in rates])
        axes.set(xlabel="local representations dropped, %", xticks=rates)

    caption = f"{captions.means(scene.groups)} Positions of the map are dropped before it is pooled."
    return [compared(scene, "masks", "Accuracy under internal masking", caption, ["masks"], fill, width(scene))]


def attacks(scene: Scene) -> list[Drawing]:
    """Robust accuracy for each setting of the attack, the groups side by side."""
    names = ["clean", *scene.study.attack.settings]

    def fill(axes: Axes, _: str) -> None:
        for turn, each in enumerate(scene.groups):
            shift = 0.7 * ((turn + 0.5) / len(scene.groups) - 0.5)
            points(axes, scene, each, [place + shift for place in range(len(names))], names)
        axes.set(xticks=range(len(names)), xlim=(-0.5, len(names) - 0.5))
        axes.set_xticklabels([name.replace("_", " ") for name in names])
        axes.grid(visible=False, axis="x")

    caption = (
        f"{captions.means(scene.groups)} Pale bars are 95 % intervals of a run, by the number of its images. "
        f"{captions.attack(scene.study.attack.settings)}"
    )
    return [compared(scene, "attacks", "Robust accuracy under attack", caption, ["attacks"], fill, width(scene))]


def width(scene: Scene) -> float:
    """Masks and attacks stand side by side unless they are crowded."""
    return HALF if len(scene.groups) * (1 + len(scene.study.attack.settings)) <= 40 else FULL


def compared(
    scene: Scene,
    name: str,
    title: str,
    caption: str,
    names: Sequence[str],
    fill: Callable[[Axes, str], None],
    width: float,
) -> Drawing:
    """A figure of panels that all groups share, with their legend."""
    columns = max(1, int(width / (0.6 + 0.066 * max(len(each.name) for each in scene.groups))))
    with mpl.rc_context(STYLE):
        figure, grid = panels(len(names), width, 2.5, ceil(len(scene.groups) / columns), sharey=True)
        for axes, panel in zip(grid, names, strict=True):
            fill(axes, panel)
            axes.axhline(scene.chance, color=MUTED, ls=":", lw=0.8, zorder=1)
        for axes in grid[::PANELS]:
            axes.set_ylabel("top-1, %")
        legend(figure, handles(scene), columns)
    return drawing(scene, name, title, caption, figure)


def curves(axes: Axes, scene: Scene, places: list[int], kind: str, metrics: list[str]) -> None:
    """For each group a line of means, in a band of one standard deviation."""
    for each in scene.groups:
        look, found = scene.looks[each.name], scene.summaries(each, kind, metrics)
        means = [nan if one.mean is None else one.mean for one in found]
        spread = [one.std or 0 for one in found]
        low, high = ([m + sign * s for m, s in zip(means, spread, strict=True)] for sign in (-1, 1))
        axes.fill_between(places, low, high, color=look.colour, alpha=0.14, lw=0)
        axes.plot(places, means, color=look.colour, marker=look.marker, ls=DASHES[look.dash])


def points(axes: Axes, scene: Scene, each: Group, places: list[float], metrics: list[str]) -> None:
    """For a group a marker at each mean, with a bar of one standard deviation to either side, in a run's interval."""
    look, found = scene.looks[each.name], scene.summaries(each, "attack", metrics)
    means = [nan if one.mean is None else one.mean for one in found]
    low, high = (
        [
            nan if one.mean is None else one.mean
            for one in scene.summaries(each, "attack", [f"{m}_{end}" for m in metrics])
        ]
        for end in ("low", "high")
    )
    axes.vlines(places, low, high, color=look.colour, alpha=0.25, lw=4)
    axes.errorbar(
        places, means, [one.std or 0 for one in found], color=look.colour, marker=look.marker, ls="none", elinewidth=1
    )
