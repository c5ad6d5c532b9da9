"""The claim: a backbone pretrained without labels is better than the same backbone with random weights.

The margin of a group is its mean less that of the random group on the same dataset and backbone family (of several
random groups, the one with the highest mean). The spread is the larger of the two groups' ranges over seeds, highest
less lowest: with as few as three seeds, a range is a stricter and plainer bound than a standard deviation. The claim
holds if the margin exceeds the spread.
"""

from dataclasses import dataclass

from whole_in_parts.config.study import Study
from whole_in_parts.report.groups import Group, Summary, summarise
from whole_in_parts.report.results import RunResults


@dataclass(frozen=True)
class Verdict:
    """The comparison of a self-supervised group with the random group, on one metric."""

    group: Group
    kind: str
    metric: str
    label: str
    summary: Summary
    baseline: Group | None
    random: Summary

    @property
    def margin(self) -> float | None:
        """The mean less that of the random group; None if either is missing."""
        if self.summary.mean is None or self.random.mean is None:
            return None
        return self.summary.mean - self.random.mean

    @property
    def spread(self) -> float | None:
        """The larger of the two ranges over seeds; None unless both groups have two seeds or more."""
        if self.summary.range is None or self.random.range is None:
            return None
        return max(self.summary.range, self.random.range)

    @property
    def exceeds(self) -> bool | None:
        """Whether the margin exceeds the spread; None if that is undecided."""
        if self.undecided or self.margin is None or self.spread is None:
            return None
        return self.margin > self.spread

    @property
    def undecided(self) -> str:
        """Why the claim cannot be decided, or an empty string if it can."""
        if self.baseline is None:
            return "no random group to compare with"
        if not (self.summary.complete and self.random.complete):
            return "numbers are missing"
        if self.spread is None:
            return "one seed has no spread"
        return ""


def verdicts(study: Study, groups: list[Group], measured: RunResults) -> list[Verdict]:
    """Compare every self-supervised group by the linear probe, and if it is asked for by kNN with the first k."""
    nearest = [("knn", f"top1_k{k}", f"kNN, k = {k}") for k in study.knn.neighbours[:1]]
    evaluations = [("linear", "top1", "linear"), *nearest]
    return [
        verdict(group, groups, measured, *evaluation)
        for group in groups
        if group.role == "self-supervised"
        for evaluation in evaluations
        if summarise(measured, group, *evaluation[:2]).values
    ]


def verdict(group: Group, groups: list[Group], measured: RunResults, kind: str, metric: str, label: str) -> Verdict:
    """Compare a group with the comparable random group of the highest mean."""
    candidates = [(other, summarise(measured, other, kind, metric)) for other in groups if comparable(other, group)]
    baseline, random = max(candidates, key=lambda pair: pair[1].mean or 0, default=(None, Summary([])))
    return Verdict(group, kind, metric, label, summarise(measured, group, kind, metric), baseline, random)


def comparable(random: Group, group: Group) -> bool:
    """Return whether `random` is a random group on the same dataset and backbone family."""
    return (
        random.role == "random"
        and random.options.dataset == group.options.dataset
        and random.options.backbone.name == group.options.backbone.name
    )
