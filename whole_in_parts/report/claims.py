"""Test the claims of the papers on the runs of a study: paired over seeds, with an interval and a verdict.

A comparison is one pair of groups of a claim (BYOL with CO-SSL and without it, on one dataset and backbone). For every
seed that all of its groups have, the difference of the metric is taken; the verdict follows from the 95 % interval of
their mean. A claim is supported if all of its comparisons support it, contradicted if one of them contradicts it, and
otherwise undecided. The scale at which it was tested is said beside.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from whole_in_parts.config.paper import PaperClaim, load_papers
from whole_in_parts.config.study import Study
from whole_in_parts.report.groups import Group
from whole_in_parts.report.results import RunResults
from whole_in_parts.report.selection import Term, comparable
from whole_in_parts.report.statistics import Interval, Verdict, decide, interval, seeds_needed


@dataclass(frozen=True)
class Comparison:
    """One comparison of a claim; `differences` are by seed."""

    terms: list[Term]
    differences: dict[int, float]
    interval: Interval | None
    verdict: Verdict
    reason: str

    @property
    def mean(self) -> float | None:
        return fmean(self.differences.values()) if self.differences else None

    @property
    def scale(self) -> str:
        """Describe the size of the first group's training."""
        options = self.terms[0].group.options
        return f"{options.dataset}, {options.image_size} px, {options.epochs} epochs"


@dataclass(frozen=True)
class TestedClaim:
    """A claim of a paper with its comparisons."""

    paper: str
    name: str
    claim: PaperClaim
    published: list[float]
    comparisons: list[Comparison]

    @property
    def verdict(self) -> Verdict:
        """Combine the verdicts of all comparisons."""
        verdicts = {comparison.verdict for comparison in self.comparisons}
        if "contradicted" in verdicts:
            return "contradicted"
        return "supported" if verdicts == {"supported"} else "undecided"

    @property
    def reason(self) -> str:
        """Say why an undecided claim is, or how many comparisons there are."""
        if not self.comparisons:
            return "the study has no such runs, or does not ask for the metric"
        count = sum(comparison.verdict == self.verdict for comparison in self.comparisons)
        return f"{count} of {len(self.comparisons)} comparisons"


def evaluate(study: Study, groups: list[Group], measured: RunResults) -> list[TestedClaim]:
    """Test all claims of all papers."""
    return [
        TestedClaim(name, key, claim, paper.published_differences(claim), list(compare(study, claim, groups, measured)))
        for name, paper in load_papers().items()
        for key, claim in paper.claims.items()
    ]


def compare(study: Study, claim: PaperClaim, groups: list[Group], measured: RunResults) -> Iterator[Comparison]:
    """Yield the comparisons of a claim whose metrics the study asks for."""
    for terms in comparable(claim, groups, measured):
        values = [by_seed(study, term, measured) for term in terms]
        if not all(values):
            continue

        seeds = sorted(set.intersection(*map(set, values)))
        differences = {seed: difference(terms, [of[seed] for of in values]) for seed in seeds}
        measured_differences = {seed: value for seed, value in differences.items() if value is not None}
        yield judge(claim, terms, measured_differences, missing=len(seeds) - len(measured_differences))


def difference(terms: list[Term], values: list[float | None]) -> float | None:
    """Return the signed sum of the terms' values, or None if one is missing."""
    signed = [term.sign * value for term, value in zip(terms, values, strict=True) if value is not None]
    return sum(signed) if len(signed) == len(terms) else None


def judge(claim: PaperClaim, terms: list[Term], differences: dict[int, float], missing: int) -> Comparison:
    """Decide a comparison, and say why if it is undecided."""
    values = list(differences.values())
    bounds = interval(values)
    verdict = decide(bounds, claim.difference)
    if missing:
        return Comparison(terms, differences, bounds, "undecided", "numbers are missing")
    if verdict != "undecided":
        return Comparison(terms, differences, bounds, verdict, "")
    if bounds is None:
        return Comparison(terms, differences, bounds, verdict, "fewer than two seeds in common")

    needed = seeds_needed(values, claim.difference)
    would = f"{needed} seeds would probably decide" if needed else "a thousand seeds would hardly decide"
    return Comparison(terms, differences, bounds, verdict, f"the interval goes both ways; {would}")


def by_seed(study: Study, term: Term, measured: RunResults) -> dict[int, float | None]:
    """Return the mean of a term's metrics for each seed; None if one is missing, and nothing if none is asked for."""
    values = {}
    for run in term.group.runs:
        asked = available(study, run, measured)
        chosen = [value for name, value in asked.items() if any(re.fullmatch(item, name) for item in term.metrics)]
        if chosen:
            numbers = [value for value in chosen if value is not None]
            values[study.runs[run].seed] = fmean(numbers) if len(numbers) == len(chosen) else None
    return values


def available(study: Study, run: str, measured: RunResults) -> dict[str, float | None]:
    """Return all metrics that a study asks for of a run, as `stage.metric` or `analyse.analysis.metric`."""
    values = {
        f"{kind}.{name}": measured.value(run, kind, name)
        for kind, names in measured.expected[run].items()
        for name in names
    }
    for key, entry in study.analyse.items():
        if entry.run == run:
            values |= {f"analyse.{entry.analysis.name}.{name}": value for name, value in measured.analyses[key].items()}
    return values


def verdicts(claims: list[TestedClaim]) -> dict[str, dict[str, Verdict]]:
    """Return the verdicts by paper and claim, without claims that the study has no runs for."""
    content: dict[str, dict[str, Verdict]] = {}
    for tested in claims:
        if tested.comparisons:
            content.setdefault(tested.paper, {})[tested.name] = tested.verdict
    return content
