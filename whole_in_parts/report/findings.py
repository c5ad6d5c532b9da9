"""What a report is made of: the study, its results, and what follows from them."""

from typing import NamedTuple

from whole_in_parts.config.study import Study
from whole_in_parts.report import claims, published, results
from whole_in_parts.report.claims import TestedClaim
from whole_in_parts.report.groups import Group, group
from whole_in_parts.report.published import ComparedTable
from whole_in_parts.report.results import RunResults


class Findings(NamedTuple):
    """The results of a study, the claims tested on them, and the published tables beside them."""

    study: Study
    groups: list[Group]
    measured: RunResults
    pretraining: list[TestedClaim]
    claims: list[TestedClaim]
    published: list[ComparedTable]


def find(study: Study) -> Findings:
    """Read all results of a study and test the claims on them.

    Raises:
        Failure: a result belongs to no entry of the study.
    """
    measured = results.read(study)
    groups = group(study.runs)
    evidence = claims.gather(study, groups, measured)
    return Findings(
        study,
        groups,
        measured,
        claims.of_pretraining(study, evidence),
        claims.of_papers(evidence),
        published.compare(study, groups, measured),
    )
