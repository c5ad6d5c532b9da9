"""The page itself: the variables of the template, and its filters for numbers, lists and figures."""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from whole_in_parts.report import palette, tables
from whole_in_parts.report.asked import EVALUATIONS, asked_of_analysis
from whole_in_parts.report.columns import columns
from whole_in_parts.report.experimental_setup import listed, paragraphs
from whole_in_parts.report.findings import Findings
from whole_in_parts.report.groups import summarise
from whole_in_parts.report.pictures import Picture
from whole_in_parts.report.scene import Drawing

TEMPLATES = Path(__file__).parent
SCRIPT = (TEMPLATES / "tables.js").read_text(encoding="utf-8")


def render(findings: Findings, drawings: list[Drawing], pictures: list[Picture]) -> str:
    """Render the page as self-contained HTML."""
    study, groups, measured, *_ = findings
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )

    environment.filters |= {"listed": listed, "format_value": format_value, "settings": settings, "inline": inline}
    return environment.get_template("index.html.j2").render(
        **findings._asdict(),
        drawings=drawings,
        pictures=pictures,
        script=Markup(SCRIPT),
        script_hash=script_hash(SCRIPT),
        columns=columns(study),
        results=tables.results(study, groups, measured),
        looks=palette.looks(groups),
        palette=palette,
        mean=lambda group, metric: summarise(measured, group, "pretrain", metric).mean,
        collapsed=lambda group: [run for run in group.runs if measured.collapsed(run)],
        setup=paragraphs(findings),
        analysed=lambda key: dict.fromkeys([*measured.analyses[key], *asked_of_analysis(study, key)]),
        evaluations=study.model_dump(mode="json", include={*EVALUATIONS, "analyse"}),
    )


def script_hash(script: str) -> str:
    """Return the hash by which the page's security policy allows its own script and no other."""
    return f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}"


def format_value(value: object) -> str:
    """Format an observed or allowed value of an expectation; long lists are truncated and their length is given."""
    if value is None or value == []:
        return "–"
    if isinstance(value, list):
        more = f" and {len(value) - 5:,} more" if len(value) > 5 else ""
        return ", ".join(format_value(item) for item in value[:5]) + more
    if isinstance(value, dict):
        return ", ".join(f"{name}: {format_value(item)}" for name, item in value.items())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def settings(section: dict[str, object]) -> str:
    """Format a part of the study as YAML, in the style of params.yaml."""
    return yaml.safe_dump(section, sort_keys=False, default_flow_style=None, allow_unicode=True, width=100)


def inline(drawing: Drawing) -> Markup:
    """Embed an SVG in the page: its colours become variables of the style sheet, and its tag carries a label."""
    _, _, body = drawing.svg.partition("<svg")
    opening, _, body = body.partition(">")
    box = opening.partition('viewBox="')[2].partition('"')[0]
    for colour, name in palette.variables().items():
        body = body.replace(colour, f"var(--{name})")
    label = escape(f"{drawing.title}, {drawing.dataset}")
    return Markup(f'<svg viewBox="{box}" role="img" aria-label="{label}">') + Markup(body)
