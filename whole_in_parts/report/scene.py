"""What the figures of a dataset share: the study and its groups, panels with a common legend, and lines of means."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, nan

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from whole_in_parts.config.study import Study
from whole_in_parts.report.drawing import FULL, PANELS, STYLE, legend, panels, svg
from whole_in_parts.report.groups import Group, Summary, summarise
from whole_in_parts.report.palette import DASHES, MUTED, Look
from whole_in_parts.report.results import RunResults


@dataclass(frozen=True)
class Drawing:
    """A figure of a dataset; `name` is its file name, `title` and `caption` are shown on the page."""

    name: str
    dataset: str
    title: str
    caption: str
    wide: bool
    svg: str


@dataclass(frozen=True)
class Scene:
    """The study, groups, results and looks that all figures of a dataset share."""

    study: Study
    dataset: str
    groups: list[Group]
    measured: RunResults
    looks: dict[str, Look]

    def summaries(self, group: Group, kind: str, metrics: list[str]) -> list[Summary]:
        """Summarise each metric over the seeds of a group."""
        return [summarise(self.measured, group, kind, metric) for metric in metrics]

    @property
    def chance(self) -> float:
        """The accuracy of chance, in per cent."""
        return 100 / self.study.expectations(self.dataset).classes


def drawing(scene: Scene, name: str, title: str, caption: str, figure: Figure) -> Drawing:
    """Export a figure of a dataset."""
    file = f"{scene.dataset}_{name}"
    return Drawing(file, scene.dataset, title, caption, figure.get_figwidth() == FULL, svg(figure, file))


def handles(scene: Scene) -> list[Line2D]:
    """Return the legend entry of each group."""
    lines = []
    for group in scene.groups:
        look = scene.looks[group.name]
        lines.append(Line2D([], [], color=look.colour, marker=look.marker, ls=DASHES[look.dash], label=group.name))
    return lines


def shared_panels(
    scene: Scene,
    name: str,
    title: str,
    caption: str,
    names: Sequence[str],
    fill: Callable[[Axes, str], None],
    width: float,
) -> Drawing:
    """Draw panels that show all groups, with a common legend."""
    columns = max(1, int(width / (0.6 + 0.066 * max(len(group.name) for group in scene.groups))))
    with mpl.rc_context(STYLE):
        figure, grid = panels(len(names), width, 2.5, ceil(len(scene.groups) / columns), sharey=True)
        for axes, panel in zip(grid, names, strict=True):
            fill(axes, panel)
            axes.axhline(scene.chance, color=MUTED, ls=":", lw=0.8, zorder=1)
        for axes in grid[::PANELS]:
            axes.set_ylabel("top-1, %")
        legend(figure, handles(scene), columns)
    return drawing(scene, name, title, caption, figure)


def curves(axes: Axes, scene: Scene, positions: list[int], kind: str, metrics: list[str]) -> None:
    """Draw a line of means for each group, in a band of one standard deviation."""
    for group in scene.groups:
        look = scene.looks[group.name]
        summaries = scene.summaries(group, kind, metrics)
        means = values(summaries)
        spread = [summary.std or 0 for summary in summaries]
        low, high = ([m + sign * s for m, s in zip(means, spread, strict=True)] for sign in (-1, 1))
        axes.fill_between(positions, low, high, color=look.colour, alpha=0.14, lw=0)
        axes.plot(positions, means, color=look.colour, marker=look.marker, ls=DASHES[look.dash])


def points(axes: Axes, scene: Scene, group: Group, positions: list[float], metrics: list[str]) -> None:
    """Draw the means of a group with error bars of one standard deviation, over the mean interval of a run."""
    look = scene.looks[group.name]
    summaries = scene.summaries(group, "attack", metrics)
    means = values(summaries)
    spread = [summary.std or 0 for summary in summaries]
    low, high = (
        values(scene.summaries(group, "attack", [f"{metric}_{bound}" for metric in metrics]))
        for bound in ("low", "high")
    )
    axes.vlines(positions, low, high, color=look.colour, alpha=0.25, lw=4)
    axes.errorbar(positions, means, spread, color=look.colour, marker=look.marker, ls="none", elinewidth=1)


def values(summaries: list[Summary]) -> list[float]:
    """Return the means, NaN where a mean is missing."""
    return [nan if summary.mean is None else summary.mean for summary in summaries]
