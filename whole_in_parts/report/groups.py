"""Groups of runs that differ in their seed alone, and statistics over seeds."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev

from whole_in_parts.config.runs import Run
from whole_in_parts.report.results import RunResults


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed alone; the name is that of the first run."""

    name: str
    runs: list[str]
    options: Run

    @property
    def role(self) -> str:
        """`random`, `supervised`, `weights` (that others trained) or `self-supervised`."""
        method = self.options.method.name
        return method if method in ("random", "supervised", "weights") else "self-supervised"

    @property
    def method(self) -> str:
        """The name of the method, with its modifier if it has one."""
        modifier = self.options.modifier.name
        return self.options.method.name if modifier == "none" else f"{self.options.method.name} + {modifier}"


@dataclass(frozen=True)
class Summary:
    """The values of one metric over the seeds of a group; None where a value is missing."""

    values: list[float | None]

    @property
    def measured(self) -> list[float]:
        return [value for value in self.values if value is not None]

    @property
    def complete(self) -> bool:
        return None not in self.values

    @property
    def mean(self) -> float | None:
        return fmean(self.measured) if self.measured else None

    @property
    def std(self) -> float | None:
        """The sample standard deviation; None for fewer than two values."""
        return stdev(self.measured) if len(self.measured) > 1 else None

    @property
    def range(self) -> float | None:
        """The highest value less the lowest; None for fewer than two values."""
        return max(self.measured) - min(self.measured) if len(self.measured) > 1 else None


def group(runs: Mapping[str, Run]) -> list[Group]:
    """Group runs by their options without the seed, in the order of their first runs."""
    groups: dict[str, Group] = {}
    for name, options in runs.items():
        key = options.model_dump_json(exclude={"seed"})
        groups.setdefault(key, Group(name, [], options)).runs.append(name)
    return list(groups.values())


def summarise(measured: RunResults, members: Group, kind: str, metric: str) -> Summary:
    """Collect the values of a metric over the runs of a group, without runs that the study does not ask for it."""
    asked = [run for run in members.runs if measured.asks(run, kind, metric)]
    return Summary([measured.value(run, kind, metric) for run in asked])
