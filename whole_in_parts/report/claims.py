"""Test claims on the runs of a study: paired over seeds, with an interval and a verdict.

This project's own are that pretraining beats random weights, by each of the probes; the others are those of the papers.

A comparison is one pair of groups of a claim (BYOL with CO-SSL and without it, on one dataset and backbone). For every
seed that all of its groups have, the difference of the metric is taken; the verdict follows from the 95 % interval of
their mean. A claim is supported if all of its comparisons support it, contradicted if one of them contradicts it, and
otherwise undecided. The scale at which it was tested is said beside.
"""

import operator
import re
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

from whole_in_parts.config.paper import Between, PaperClaim, load_papers
from whole_in_parts.config.runs import Run
from whole_in_parts.config.study import Study
from whole_in_parts.report.groups import Group
from whole_in_parts.report.results import RunResults
from whole_in_parts.report.selection import Options, Term, comparable, flatten
from whole_in_parts.report.statistics import Interval, Verdict, decide, interval, seeds_needed

PRETRAINING = "pretraining"


class Evidence(NamedTuple):
    """What claims are tested on: the options of each group, and metrics and seed of each run, by their names."""

    groups: list[Group]
    options: dict[str, Options]
    metrics: dict[str, dict[str, float | None]]
    seeds: dict[str, int]


@dataclass(frozen=True)
class Comparison:
    """One comparison of a claim; `values` are those of its terms and `differences` theirs, by seed.

    Seeds of which a value is missing are in neither; `missing` is how many these are.
    """

    terms: list[Term]
    values: dict[int, list[float]]
    differences: dict[int, float]
    missing: int
    interval: Interval | None
    verdict: Verdict
    reason: str

    @property
    def mean(self) -> float | None:
        return fmean(self.differences.values()) if self.differences else None

    @property
    def means(self) -> list[float | None]:
        """The mean of each term over the seeds that are compared."""
        return [fmean(term) for term in zip(*self.values.values(), strict=True)] or [None] * len(self.terms)

    @property
    def scale(self) -> str:
        """Describe the size of the first group's training."""
        options = self.terms[0].group.options
        return f"{options.dataset}, {options.image_size} px, {options.epochs} epochs"


@dataclass(frozen=True)
class TestedClaim:
    """A claim with its comparisons; `paper` is `pretraining` for those of this project."""

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


def gather(study: Study, groups: list[Group], measured: RunResults) -> Evidence:
    """Collect once what all claims are tested on."""
    options = {group.name: flatten(group, measured) for group in groups}
    metrics = {run: available(study, run, measured) for run in study.runs}
    return Evidence(groups, options, metrics, {run: entry.seed for run, entry in study.runs.items()})


def of_pretraining(study: Study, evidence: Evidence) -> list[TestedClaim]:
    """Test that pretraining beats random weights, by the linear probe and by kNN with the first k."""
    metrics = {"linear": "linear.top1", "knn": f"knn.top1_k{study.knn.neighbours[0]}"}
    claims = {name: pretraining(re.escape(metric)) for name, metric in metrics.items()}
    return [TestedClaim(PRETRAINING, key, claim, [], list(compare(claim, evidence))) for key, claim in claims.items()]


def pretraining(metric: str) -> PaperClaim:
    """Return the claim that a trained backbone is better by a metric than the same one with random weights.

    All options but the dataset, the backbone and the image size may differ.
    """
    return PaperClaim(
        says="A backbone pretrained without labels is better than the same backbone with random weights.",
        place="",
        better={"epochs": Between(above=0)},
        than={"method.name": "random"},
        differ=[name for name in Run.model_fields if name not in ("dataset", "backbone", "image_size")],
        metrics=[metric],
        difference=Between(above=0),
    )


def of_papers(evidence: Evidence) -> list[TestedClaim]:
    """Test all claims of all papers."""
    return [
        TestedClaim(name, key, claim, paper.published_differences(claim), list(compare(claim, evidence)))
        for name, paper in load_papers().items()
        for key, claim in paper.claims.items()
    ]


def compare(claim: PaperClaim, evidence: Evidence) -> Iterator[Comparison]:
    """Yield the comparisons of a claim whose metrics the study asks for."""
    for terms in comparable(claim, evidence.groups, evidence.options):
        values = [by_seed(term, evidence) for term in terms]
        if not all(values):
            continue

        seeds = sorted(set.intersection(*map(set, values)))
        paired = {seed: [of[seed] for of in values] for seed in seeds}
        complete = {seed: numbers for seed, found in paired.items() if (numbers := measured_of(found))}
        yield judge(claim, terms, complete, missing=len(paired) - len(complete))


def measured_of(values: list[float | None]) -> list[float]:
    """Return the values if all were measured, or nothing if one is missing."""
    numbers = [value for value in values if value is not None]
    return numbers if len(numbers) == len(values) else []


def judge(claim: PaperClaim, terms: list[Term], values: dict[int, list[float]], missing: int) -> Comparison:
    """Decide a comparison, and say why if it is undecided; `missing` is the number of seeds that lack a value."""
    signs = [term.sign for term in terms]
    differences = {seed: sum(map(operator.mul, signs, numbers)) for seed, numbers in values.items()}
    bounds = interval([*differences.values()])
    verdict = "undecided" if missing else decide(bounds, claim.difference)
    reason = why_undecided(claim, [*differences.values()], missing) if verdict == "undecided" else ""
    return Comparison(terms, values, differences, missing, bounds, verdict, reason)


def why_undecided(claim: PaperClaim, differences: list[float], missing: int) -> str:
    """Say what a comparison lacks to be decided."""
    if missing:
        return "numbers are missing"
    if len(differences) < 2:
        return "fewer than two seeds in common"
    needed = seeds_needed(differences, claim.difference)
    would = f"{needed} seeds would probably decide" if needed else "a thousand seeds would hardly decide"
    return f"the interval goes both ways; {would}"


def by_seed(term: Term, evidence: Evidence) -> dict[int, float | None]:
    """Return the mean of a term's metrics for each seed; None if one is missing, and nothing if none is asked for."""
    values = {}
    for run in term.group.runs:
        asked = evidence.metrics[run]
        chosen = [value for name, value in asked.items() if any(re.fullmatch(item, name) for item in term.metrics)]
        if chosen:
            numbers = measured_of(chosen)
            values[evidence.seeds[run]] = fmean(numbers) if numbers else None
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
