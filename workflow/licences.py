"""Write docs/licences.md, the licences of the packages of requirements.lock: `make licences`.

They are what the packages say of themselves, as far as they are installed here: others are for other systems.
"""

import re
from importlib.metadata import PackageMetadata, distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
PAGE = ROOT / "docs/licences.md"
HEAD = """# Licences

What the packages of `requirements.lock` say of their licence. Written by `make licences`.

| package | licence |
|---|---|
"""


def main() -> None:
    """Write the page."""
    rows = [f"| {name} | {licence} |\n" for name, licence in sorted(licences().items())]
    PAGE.write_text(HEAD + "".join(rows), encoding="utf-8")


def locked() -> set[str]:
    """Return the names of the locked packages, normalised."""
    names = re.findall(r"^([A-Za-z0-9._-]+)==", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    return {normalised(name) for name in names}


def licences() -> dict[str, str]:
    """Return the licences of the locked packages that are installed."""
    found = {normalised(package.metadata["Name"]): package.metadata for package in distributions()}
    return {name: licence(metadata) for name, metadata in found.items() if name in locked()}


def licence(metadata: PackageMetadata) -> str:
    """Return the licence that a package names by expression, classifier or text, in this order."""
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    classifiers = [text for text in metadata.get_all("Classifier") or [] if text.startswith("License ::")]
    if classifiers:
        return ", ".join(text.rpartition(" :: ")[2] for text in classifiers)
    text = metadata["License"].strip() if "License" in metadata else ""
    return text.splitlines()[0][:60] if text else "not said in its metadata"


def normalised(name: str) -> str:
    """Return the name of a package as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
