"""What the captions of the figures say that depends on the study and on what was measured."""

from collections.abc import Mapping

from whole_in_parts.config.evaluations import AttackSetting
from whole_in_parts.report.groups import Group, Summary, summarise
from whole_in_parts.report.results import RunResults

ERRORS = {
    "mean_error": "Mean error over the corruptions, in per cent",
    "mce": "mCE, the mean of the errors as shares of AlexNet’s, in per cent",
}


def means(groups: list[Group]) -> str:
    """What lines and bars show."""
    spread = "bands and bars are one standard deviation; " if any(len(each.runs) > 1 for each in groups) else ""
    return f"Means over seeds; {spread}the dotted line is chance."


def errors(groups: list[Group], measured: RunResults) -> str:
    """The errors under corruption that stand for all of them, of each group that has them."""
    sentences = []
    for metric, meaning in ERRORS.items():
        found = {each.name: summarise(measured, each, "corrupt", metric) for each in groups}
        if any(summary.measured for summary in found.values()):
            sentences.append(f" {meaning}: {', '.join(f'{name} {value(of)}' for name, of in found.items())}.")
    return "".join(sentences)


def value(of: Summary) -> str:
    return "missing" if of.mean is None else f"{of.mean:.1f}"


def attack(settings: Mapping[str, AttackSetting]) -> str:
    """The settings of the attack, and which of them are weak and why (`docs/methods.md` E.10); epsilon 0 is a control."""
    attacks = {name: setting for name, setting in settings.items() if setting.epsilon}
    return f"L∞ PGD: {'; '.join(in_words(*each) for each in settings.items())}.{weakness(attacks)}"


def in_words(name: str, setting: AttackSetting) -> str:
    steps = "1 step" if setting.iterations == 1 else f"{setting.iterations} steps"
    starts = "a random start" if setting.restarts == 1 else f"each of {setting.restarts} random starts"
    begin = f", from {starts}" if setting.random_start else ""
    return f"{plain(name)}, ε = {setting.epsilon:g} in {steps} of {setting.step:g} ε{begin}"


def weakness(settings: Mapping[str, AttackSetting]) -> str:
    """Settings that start at the image and whose steps together are less than ε never meet what bounds them."""
    weak = {
        name: setting.iterations * setting.step
        for name, setting in settings.items()
        if not setting.random_start and setting.iterations * setting.step < 1
    }
    if not weak:
        return ""
    strong = [plain(name) for name, setting in settings.items() if setting.iterations * setting.step >= 1]
    can = f" Steps that can use all of ε: {', '.join(strong)}." if strong else ""
    return (
        f" Weak, as the settings of the papers are: {', '.join(map(plain, weak))}. Their steps move a pixel by at most "
        f"{max(weak.values()):g} ε in all, so that the projection to ε never acts, and ε counts only through the size "
        f"of a step: what withstands them need not be robust.{can}"
    )


def plain(name: str) -> str:
    return name.replace("_", " ")
