"""Put a ready study of `workflow/studies/` in the place of `params.yaml`: `python -m workflow.study NAME`.

`make study STUDY=NAME` does so and builds it. A `params.yaml` with edits that git does not have is left alone.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from whole_in_parts.config.study import PARAMS, load_study

STUDIES = Path(__file__).parent / "studies"


def main() -> None:
    """Copy the study.

    Raises:
        SystemExit: there is no such study, or an edit of params.yaml would be lost.
    """
    names = sorted(file.stem for file in STUDIES.glob("*.yaml"))
    parser = argparse.ArgumentParser("python -m workflow.study", description=__doc__)
    parser.add_argument("name", metavar="NAME", choices=names, help=f"one of {', '.join(names)}")
    try:
        take(parser.parse_args().name)
    except ValueError as error:
        sys.exit(f"workflow.study: error: {error}")


def take(name: str) -> None:
    """Replace params.yaml by a ready study.

    Raises:
        ValueError: an edit of params.yaml would be lost.
    """
    text = (STUDIES / f"{name}.yaml").read_text(encoding="utf-8")
    if PARAMS.exists() and not kept_elsewhere(PARAMS.read_text(encoding="utf-8")):
        raise ValueError(f"{PARAMS} has edits that git does not have; commit them, or: git checkout {PARAMS}")
    PARAMS.write_text(text, encoding="utf-8")
    load_study()
    print(f"{PARAMS} is now {STUDIES.name}/{name}.yaml; to go back: git checkout {PARAMS}")


def kept_elsewhere(text: str) -> bool:
    """Return whether a text is that of a ready study, or of params.yaml in the last commit."""
    if any(file.read_text(encoding="utf-8") == text for file in STUDIES.glob("*.yaml")):
        return True
    shown = subprocess.run(["git", "show", f"HEAD:./{PARAMS}"], capture_output=True, text=True, check=False)
    return shown.returncode == 0 and shown.stdout == text


if __name__ == "__main__":
    main()
