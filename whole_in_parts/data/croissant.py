"""Describe the shards of a dataset for other programs: `croissant.json`, in the format Croissant 1.0 (MLCommons).

It names the files of each split with their sizes and sha256, and how key, label and image of a sample follow from them.
All of it is read from the indices of the splits and the sizes of the tars, so the same shards give the same bytes.
https://docs.mlcommons.org/croissant/docs/croissant-spec.html
"""

import json
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from whole_in_parts.data.shards import INDEX, INDEX_LIMIT

FILE = "croissant.json"
LICENCES = {
    "digits": "https://creativecommons.org/licenses/by/4.0/",
    "fashion_mnist": "https://opensource.org/license/mit",
}
"""The licences of the sources that always give the same images; the others give those of their user."""

TERMS = (
    *("citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty"),
    *("fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet"),
    *("references", "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in TERMS},
}
"""The context that all descriptions of the format have, also its terms that are not used here."""

Node = dict[str, Any]


def write(folder: Path, name: str, source: str) -> None:
    """Write the description of a packed dataset, a folder with a folder for each split, beside its splits."""
    content = describe(folder, name, source)
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    (folder / FILE).write_text(text, encoding="utf-8", newline="\n")


def describe(folder: Path, name: str, source: str) -> Node:
    """Return the description of a packed dataset by its name and that of its source."""
    splits = sorted(index.parent.name for index in folder.glob(f"*/{INDEX}"))
    counts = {split: pq.read_metadata(folder / split / INDEX).num_rows for split in splits}
    images = ", ".join(f"{count:,} of {split}" for split, count in counts.items())
    licence = {"license": LICENCES[source]} if source in LICENCES else {}
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": f"Labelled images in WebDataset shards: {images}.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        **licence,
        "distribution": [node for split in splits for node in files(folder / split)],
        "recordSet": [split_names(splits), class_names(folder / splits[0]), *map(samples, splits)],
    }


def files(split: Path) -> Iterable[Node]:
    """Yield the index and the shards of a split, and the images in these."""
    index = split / INDEX
    checksum = sha256(index.read_bytes()).hexdigest()
    yield file_object(split.name, INDEX, "application/x-parquet", index.stat().st_size, checksum)

    shards = metadata(split, "shards")
    for name, digest in shards.items():
        yield file_object(split.name, name, "application/x-tar", (split / name).stat().st_size, digest)

    yield {
        "@type": "cr:FileSet",
        "@id": f"{split.name}/images",
        "containedIn": [{"@id": f"{split.name}/{name}"} for name in shards],
        "encodingFormat": "image/*",
        "includes": ["*.jpg", "*.png"],
    }


def file_object(split: str, name: str, encoding: str, size: int, checksum: str) -> Node:
    """Return a file of a split, by its path below the dataset's folder."""
    return {
        "@type": "cr:FileObject",
        "@id": f"{split}/{name}",
        "name": f"{split}/{name}",
        "contentUrl": f"{split}/{name}",
        "encodingFormat": encoding,
        "contentSize": f"{size} B",
        "sha256": checksum,
    }


def split_names(splits: list[str]) -> Node:
    """Return the record set that lists the splits."""
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [field("splits/name", "sc:Text")],
        "data": [{"splits/name": split} for split in splits],
    }


def class_names(split: Path) -> Node:
    """Return the record set that lists the classes by their labels."""
    return {
        "@type": "cr:RecordSet",
        "@id": "classes",
        "dataType": "sc:Enumeration",
        "key": {"@id": "classes/label"},
        "field": [field("classes/label", "sc:Integer"), field("classes/name", "sc:Text")],
        "data": [
            {"classes/label": label, "classes/name": name} for label, name in enumerate(metadata(split, "classes"))
        ],
    }


def samples(split: str) -> Node:
    """Return the record set of the samples of a split: keys and labels of the index, joined with the images by key."""
    index = {"fileObject": {"@id": f"{split}/{INDEX}"}}
    images = {"fileSet": {"@id": f"{split}/images"}}
    key = index | {"extract": {"column": "key"}}
    file = images | {"extract": {"fileProperty": "fullpath"}, "transform": {"regex": r"^(.+?)(?:\.(?:jpg|png))?$"}}

    return {
        "@type": "cr:RecordSet",
        "@id": split,
        "key": {"@id": f"{split}/key"},
        "field": [
            field(f"{split}/key", "sc:Text", source=key),
            field(f"{split}/label", "sc:Integer", source=index | {"extract": {"column": "label"}}),
            field(f"{split}/file", "sc:Text", source=file, references=key),
            field(f"{split}/image", "sc:ImageObject", source=images | {"extract": {"fileProperty": "content"}}),
        ],
    }


def field(name: str, kind: str, **more: Node) -> Node:
    """Return a field of a record set."""
    return {"@type": "cr:Field", "@id": name, "dataType": kind, **more}


def metadata(split: Path, key: str) -> Any:
    """Return an entry of the metadata of the index of a split: `classes`, or the sha256 of its `shards` by name."""
    with pq.ParquetFile(split / INDEX, thrift_string_size_limit=INDEX_LIMIT) as file:
        return json.loads(file.schema_arrow.metadata[key.encode()])
