"""Make the page of the whole study: `results/report/`.

Reads what the other stages measured, and writes `index.html`, a page that needs nothing else; `figures/`, with the
pictures of analyses among them; `tables/*.csv`, with every number in full; and for DVC `metrics/<run>.json`,
{evaluation: {metric: number}}. A number that is missing or not finite is shown as "missing" and flagged at the top. A
result that belongs to no entry of params.yaml stops the stage.
"""

import json
from pathlib import Path

from whole_in_parts.config.study import Study
from whole_in_parts.report import claim, content, figures, pictures, results, tables
from whole_in_parts.report.groups import group
from workflow import program


def report(study: Study, key: str, directory: Path) -> None:
    found = results.read(study)
    groups = group(study.runs)
    verdicts = claim.verdicts(study, groups, found)
    drawings = figures.draw(study, groups, found)
    for name in ("tables", "figures", "metrics"):
        (directory / name).mkdir()
    for drawing in drawings:
        write(directory / "figures" / f"{drawing.name}.svg", drawing.svg)
    shown = pictures.read(study)
    for picture in shown:
        (directory / "figures" / picture.name).write_bytes(picture.png)
    tables.write(study, groups, found, verdicts, directory / "tables")
    for run, metrics in found.metrics.items():
        write(directory / "metrics" / f"{run}.json", json.dumps(metrics, indent=2) + "\n")
    write(directory / "index.html", content.render(study, groups, found, verdicts, drawings, shown))


def write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    program.run(report)
