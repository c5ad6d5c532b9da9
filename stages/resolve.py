"""Check the study and resolve it into a record of each stage: `results/resolve/<kind>/<key>.json`.

A record has the options that a stage reads, with the defaults that params.yaml leaves out, and the hash of each file of
code that it runs. Every other stage depends on its own record, so it is stale if one of these changes, and only then.
"""

import sys
from pathlib import Path

from whole_in_parts.config.recipes import redundant_overrides
from whole_in_parts.config.study import PARAMS, Study
from workflow import program
from workflow.provenance.record import records


def resolve(study: Study, key: str, directory: Path) -> None:
    if remark := redundant_overrides(PARAMS):
        print(remark, file=sys.stderr)
    for path, text in records(study):
        file = directory / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    program.run(resolve)
