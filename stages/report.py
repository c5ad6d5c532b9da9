"""Write the report of the whole study: `results/report/`.

Reads the results of the other stages and writes `index.html`, a self-contained page; `methods.md`, the experimental
setup in words; `figures/`, including the pictures of analyses; `tables/*`, with every number in full precision; and for
DVC `metrics/<run>.json`, {evaluation: {metric: number}}, and `claims.json`, {paper: {claim: verdict}}, with this
project's own claims under `pretraining`. A number that is missing or not finite reads "missing" and is flagged at the
top of the page; what the study does not ask for is blank. The stage fails if a result belongs to no entry of the study.
"""

import json
from pathlib import Path

from whole_in_parts.config.study import Study
from whole_in_parts.report import claims, content, experimental_setup, figures, findings, pictures, tables
from workflow import program


def report(study: Study, key: str, directory: Path) -> None:
    """Read all results, then write figures, tables, metrics and the page."""
    found = findings.find(study)
    drawings = figures.draw(study, found.groups, found.measured)

    for name in ("tables", "figures", "metrics"):
        (directory / name).mkdir()
    for drawing in drawings:
        write(directory / "figures" / f"{drawing.name}.svg", drawing.svg)

    analysis_pictures = pictures.read(study)
    for picture in analysis_pictures:
        (directory / "figures" / picture.name).write_bytes(picture.png)

    tables.write(found, directory / "tables")
    for run, metrics in found.measured.metrics.items():
        write(directory / "metrics" / f"{run}.json", json.dumps(metrics, indent=2) + "\n")
    write(directory / "claims.json", json.dumps(claims.verdicts(found.pretraining + found.claims), indent=2) + "\n")
    write(directory / "methods.md", experimental_setup.markdown(found))
    write(directory / "index.html", content.render(found, drawings, analysis_pictures))


def write(file: Path, text: str) -> None:
    """Write a text file with Unix line endings on every platform."""
    file.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    program.run(report)
