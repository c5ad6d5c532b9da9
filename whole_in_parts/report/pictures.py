"""The PNG pictures of the analyses, embedded in the page and copied beside it."""

import base64
from typing import NamedTuple

from markupsafe import Markup

from whole_in_parts.config.study import Study
from whole_in_parts.results import result_dir

CAPTIONS = {
    "affinity": "Pairs of local crops: what the learned affinity says of them, in red, and the cosine, in green.",
    "heat_map": "How like the dashed window the windows of its image are, and those of another, mostly of its class.",
    "neighbours": "Patches, dashed, and the nearest others by cosine; those of the same class have a frame.",
    "receptive_field": "How much each pixel moves a local representation, by its place on the map: mean and single.",
}


class Picture(NamedTuple):
    """A picture of an analysis; `name` is its file name."""

    name: str
    title: str
    caption: str
    png: bytes

    @property
    def source(self) -> Markup:
        """The picture as a data URL, so that the page is self-contained."""
        return Markup("data:image/png;base64,") + Markup(base64.b64encode(self.png).decode())


def read(study: Study) -> list[Picture]:
    """Read the pictures of all analyses, in the order of the study."""
    return [picture for key in study.analyse for picture in pictures_of(study, key)]


def pictures_of(study: Study, key: str) -> list[Picture]:
    """Read the pictures of one analysis."""
    entry = study.analyse[key]
    files = sorted(result_dir("analyse", key).glob("*.png"))
    name = entry.analysis.name
    title = f"{name.replace('_', ' ').capitalize()}, {entry.run} on {entry.dataset}"
    return [Picture(f"analyse_{key}_{file.name}", title, CAPTIONS[name], file.read_bytes()) for file in files]
