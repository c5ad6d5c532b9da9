"""Which groups of runs a claim compares: those that its selectors match, and that are otherwise alike."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from whole_in_parts.config.paper import Between, PaperClaim, Selector
from whole_in_parts.report.groups import Group
from whole_in_parts.report.results import RunResults

Options = dict[str, Any]
REFERENCES = ("random", "supervised")
NEVER_COMPARED = ("seed", "online", "start", "t_min")


class Term(NamedTuple):
    """A group in a comparison: the sign of its values in the difference, and its metrics (regular expressions)."""

    sign: int
    group: Group
    metrics: list[str]


def comparable(claim: PaperClaim, groups: list[Group], options: Mapping[str, Options]) -> Iterator[list[Term]]:
    """Yield the terms of each comparison that the groups allow; `options` are theirs by their names, as of `flatten`.

    Without a change, these are a group of `better` (plus) and one of `than` (minus); with a change, both after it less
    both before it.
    """
    pairs = Pairs(groups, options, exempt(claim.better, claim.than) + claim.differ)
    if claim.change is None:
        for better, than in pairs.matching(claim.better, claim.than):
            yield [Term(1, better, claim.metrics), Term(-1, than, claim.against or claim.metrics)]
        return

    before, after = claim.change.before, claim.change.after
    changes = Pairs(groups, options, exempt(before, after) + claim.differ)
    starts = list(pairs.matching(claim.better | before, claim.than | before))
    for end in pairs.matching(claim.better | after, claim.than | after):
        for start in starts:
            if all(changes.alike(*sides) for sides in zip(end, start, strict=True)):
                groups_of = [(1, end[0]), (-1, end[1]), (-1, start[0]), (1, start[1])]
                yield [Term(sign, group, claim.metrics) for sign, group in groups_of]


class Pairs:
    """Pairs of groups whose options are equal but for the free ones, by the beginnings of their keys."""

    def __init__(self, groups: list[Group], options: Mapping[str, Options], free: list[str]) -> None:
        self.groups = groups
        self.options = options
        ignored = (*free, *NEVER_COMPARED)
        self.compared = {
            name: {key: value for key, value in own.items() if not begins_with(key, ignored)}
            for name, own in options.items()
        }

    def alike(self, one: Group, other: Group) -> bool:
        """Return whether two groups are equal but for the free options."""
        return self.compared[one.name] == self.compared[other.name]

    def matching(self, better: Selector, than: Selector) -> Iterator[tuple[Group, Group]]:
        """Yield the pairs that two selectors match; of equal selectors, each group with itself."""
        others = select(self.groups, self.options, than)
        for group in select(self.groups, self.options, better):
            if better == than:
                yield group, group
                continue
            yield from ((group, other) for other in others if other is not group and self.alike(group, other))


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


def select(groups: list[Group], options: Mapping[str, Options], selector: Selector) -> list[Group]:
    """Return the groups whose options meet all conditions; random and supervised ones only if their method is named."""
    is_named = selector.get("method.name") in REFERENCES
    candidates = [group for group in groups if is_named or group.role not in REFERENCES]
    return [group for group in candidates if matches(options[group.name], selector)]


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


def begins_with(key: str, names: tuple[str, ...]) -> bool:
    """Return whether a dotted key is one of the names or below one."""
    return any(key == name or key.startswith(f"{name}.") for name in names)
