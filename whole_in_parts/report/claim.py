"""The claim: what a backbone learned without labels is better than what it was before it learned anything.

A group's margin is its mean less that of the random group on the same dataset and backbone family; of several, that
of the highest mean. The spread is the larger of the two ranges over seeds, highest less lowest: with as few seeds as
three, a range is a stricter and plainer bound than a standard deviation. The claim holds where the margin is larger.
"""

from dataclasses import dataclass

from whole_in_parts.config.study import Study
from whole_in_parts.report.groups import Group, Summary, summarise
from whole_in_parts.report.results import RunResults


@dataclass(frozen=True)
class Verdict:
    """One comparison of a self-supervised group with the random one."""

    group: Group
    kind: str
    metric: str
    label: str
    summary: Summary
    baseline: Group | None
    random: Summary

    @property
    def margin(self) -> float | None:
        if self.summary.mean is None or self.random.mean is None:
            return None
        return self.summary.mean - self.random.mean

    @property
    def spread(self) -> float | None:
        """None unless both groups have two seeds or more."""
        if self.summary.range is None or self.random.range is None:
            return None
        return max(self.summary.range, self.random.range)

    @property
    def exceeds(self) -> bool | None:
        """Whether the margin is larger than the spread; None if that cannot be said."""
        if self.undecided or self.margin is None or self.spread is None:
            return None
        return self.margin > self.spread

    @property
    def undecided(self) -> str:
        """Why nothing can be said, or nothing."""
        if self.baseline is None:
            return "no random group to compare with"
        if not (self.summary.complete and self.random.complete):
            return "numbers are missing"
        if self.spread is None:
            return "one seed has no spread"
        return ""


def verdicts(study: Study, groups: list[Group], measured: RunResults) -> list[Verdict]:
    """The linear probe and the first k of kNN, for every self-supervised group."""
    nearest = [("knn", f"top1_k{k}", f"kNN, k = {k}") for k in study.knn.neighbours[:1]]
    evaluations = [("linear", "top1", "linear"), *nearest]
    return [
        verdict(each, groups, measured, *evaluation)
        for each in groups
        if each.role == "self-supervised"
        for evaluation in evaluations
    ]


def verdict(each: Group, groups: list[Group], measured: RunResults, kind: str, metric: str, label: str) -> Verdict:
    found = [(other, summarise(measured, other, kind, metric)) for other in groups if comparable(other, each)]
    baseline, random = max(found, key=lambda pair: pair[1].mean or 0, default=(None, Summary([])))
    return Verdict(each, kind, metric, label, summarise(measured, each, kind, metric), baseline, random)


def comparable(random: Group, each: Group) -> bool:
    return (
        random.role == "random"
        and random.options.dataset == each.options.dataset
        and random.options.backbone.name == each.options.backbone.name
    )
