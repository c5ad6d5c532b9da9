"""The parts of the figure captions that depend on the study and on its results."""

from collections.abc import Mapping

from whole_in_parts.config.evaluations import AttackSetting, Robustness
from whole_in_parts.report.groups import Group, Summary, summarise
from whole_in_parts.report.results import RunResults

ERRORS = {
    "mean_error": "Mean error over the corruptions, in per cent",
    "mce": "mCE, the mean of the errors as shares of AlexNet’s, in per cent",
}


def means(groups: list[Group]) -> str:
    """Describe what lines and error bars show."""
    spread = "bands and bars are one standard deviation; " if any(len(group.runs) > 1 for group in groups) else ""
    return f"Means over seeds; {spread}the dotted line is chance."


def errors(groups: list[Group], measured: RunResults) -> str:
    """Describe the mean errors under corruption of all groups that have them."""
    sentences = []
    for metric, meaning in ERRORS.items():
        summaries = {group.name: summarise(measured, group, "corrupt", metric) for group in groups}
        summaries = {name: summary for name, summary in summaries.items() if summary.values}
        if any(summary.measured for summary in summaries.values()):
            sentences.append(
                f" {meaning}: {', '.join(f'{name} {value(summary)}' for name, summary in summaries.items())}."
            )
    return "".join(sentences)


def value(summary: Summary) -> str:
    """Format a mean with one decimal."""
    return "missing" if summary.mean is None else f"{summary.mean:.1f}"


def classifier(options: Robustness) -> str:
    """Name the classifier of an evaluation of robustness."""
    return "the linear probe" if options.classifier == "features" else "the linear probe trained on random crops"


def attack(settings: Mapping[str, AttackSetting]) -> str:
    """Describe the attack's settings and which are weak, and why (`docs/methods.md` E.10); epsilon 0 is a control."""
    attacks = {name: setting for name, setting in settings.items() if setting.epsilon}
    return f"L∞ PGD: {'; '.join(in_words(name, setting) for name, setting in settings.items())}.{weakness(attacks)}"


def in_words(name: str, setting: AttackSetting) -> str:
    """Describe one setting of the attack."""
    steps = "1 step" if setting.iterations == 1 else f"{setting.iterations} steps"
    starts = "a random start" if setting.restarts == 1 else f"each of {setting.restarts} random starts"
    begin = f", from {starts}" if setting.random_start else ""
    return f"{plain(name)}, ε = {setting.epsilon:g} in {steps} of {setting.step:g} ε{begin}"


def weakness(settings: Mapping[str, AttackSetting]) -> str:
    """Describe the weak settings: those that start at the image and whose steps add up to less than ε.

    The projection to the ε ball never acts on these.
    """
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
    """Replace underscores by spaces."""
    return name.replace("_", " ")
