"""Which groups of runs a claim compares: those that its selectors match, and that are otherwise alike."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from whole_in_parts.config.paper import Between, PaperClaim, Selector
from whole_in_parts.report.groups import Group
from whole_in_parts.report.results import RunResults

Options = dict[str, Any]
NEVER_COMPARED = ("seed", "online", "start")


class Term(NamedTuple):
    """A group in a comparison: the sign of its values in the difference, and its metrics (regular expressions)."""

    sign: int
    group: Group
    metrics: list[str]


def comparable(claim: PaperClaim, groups: list[Group], measured: RunResults) -> Iterator[list[Term]]:
    """Yield the terms of each comparison that the groups allow.

    Without a change, these are a group of `better` (plus) and one of `than` (minus); with a change, both after it less
    both before it.
    """
    options = {group.name: flatten(group, measured) for group in groups}
    free = exempt(claim.better, claim.than) + claim.differ
    against = claim.against or claim.metrics
    steps = [claim.change.after, claim.change.before] if claim.change else [{}]

    for better in select(groups, options, claim.better | steps[0]):
        for than in select(groups, options, claim.than | steps[0]):
            same = claim.better == claim.than
            if (better is than) != same or not alike(options[better.name], options[than.name], free):
                continue
            terms = [Term(1, better, claim.metrics), Term(-1, than, against)]
            if claim.change is None:
                yield terms
                continue
            changed = [*exempt(claim.change.before, claim.change.after), *claim.differ]
            for before in earlier(claim, groups, options, terms, changed):
                yield terms + before


def earlier(
    claim: PaperClaim, groups: list[Group], options: dict[str, Options], terms: list[Term], changed: list[str]
) -> Iterator[list[Term]]:
    """Yield the terms before the change that belong to those after it."""
    assert claim.change is not None
    for better in select(groups, options, claim.better | claim.change.before):
        for than in select(groups, options, claim.than | claim.change.before):
            befores = [Term(-1, better, terms[0].metrics), Term(1, than, terms[1].metrics)]
            pairs = zip(terms, befores, strict=True)
            if all(alike(options[after.group.name], options[before.group.name], changed) for after, before in pairs):
                yield befores


def flatten(group: Group, measured: RunResults) -> Options:
    """Return all options of a group by their dotted keys, and the derived `t_min`."""
    options: Options = {}
    queue: list[tuple[str, Any]] = [("", group.options.model_dump())]
    while queue:
        key, value = queue.pop()
        if isinstance(value, list | tuple):
            value = dict(enumerate(value))
        if isinstance(value, dict):
            queue += [(f"{key}.{name}" if key else str(name), inner) for name, inner in value.items()]
        else:
            options[key] = value

    # T_min (CO-SSL, appendix A.3): the share of the image in a receptive field, of the smallest crop.
    field = measured.value(group.runs[0], "pretrain", "receptive_field")
    if field is not None:
        options["t_min"] = min(1.0, (field / group.options.image_size) ** 2) * group.options.views[0].crop_scale[0]
    return options


def select(groups: list[Group], options: dict[str, Options], selector: Selector) -> list[Group]:
    """Return the trained groups whose options meet all conditions."""
    return [group for group in groups if group.role == "self-supervised" and matches(options[group.name], selector)]


def matches(options: Options, selector: Selector) -> bool:
    """Return whether options meet all conditions; an option that is not there meets none."""
    return all(key in options and meets(options[key], condition) for key, condition in selector.items())


def meets(value: object, condition: object) -> bool:
    """Return whether a value is in a range, is one of a list, or equals the condition."""
    if isinstance(condition, Between):
        return condition.contains(value)
    return value in condition if isinstance(condition, list) else value == condition


def exempt(one: Selector, other: Selector) -> list[str]:
    """Return the beginnings of the keys in which two groups may differ.

    What selectors name may differ; where they name different variants, so may all of their options.
    """
    keys = []
    for key in {*one, *other}:
        is_variant = key.endswith(".name") and one.get(key) != other.get(key)
        keys.append(key.removesuffix(".name") if is_variant else key)
    return keys


def alike(one: Options, other: Options, free: list[str]) -> bool:
    """Return whether two sets of options are equal but for the free keys."""
    ignored = (*free, *NEVER_COMPARED, "t_min")

    def compared(options: Options) -> Options:
        return {
            key: value
            for key, value in options.items()
            if not any(key == name or key.startswith(f"{name}.") for name in ignored)
        }

    return compared(one) == compared(other)
