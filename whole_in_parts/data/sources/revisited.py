"""The revisited Oxford and Paris (Radenović et al., 2018, arXiv:1803.11285): photographs of landmarks, to be retrieved.

A folder with the images, `jpg/<name>.jpg`, and the ground truth as it is published, `gnd_<dataset>.pkl`, or the same as
JSON, `gnd_<dataset>.json`: the names of the gallery (`imlist`) and of the queries (`qimlist`), and for each query
(`gnd`) the numbers in the gallery of the images that are `easy`, `hard` and `junk`. Train is the gallery and test the
queries, each with the keys of these images as its annotation. The two classes are `gallery` and `query`.

A pickle may run any code when it is read. This one is read without: it may be made of lists, dictionaries, text,
numbers and arrays of numbers, and what else it asks for is refused.
"""

import json
import pickle
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from whole_in_parts.config.sources.revisited import RevisitedConfig
from whole_in_parts.data.source import Dataset, Sample, check
from whole_in_parts.data.sources import folder
from whole_in_parts.failure import Failure

CLASSES = ["gallery", "query"]
TRUTH = "ground_truth.json"
WHERE = "http://cmp.felk.cvut.cz/revisitop"
CHUNK = 1 << 20


class Query(BaseModel):
    """Numbers in the gallery of the images that show the building of a query."""

    easy: list[int]
    hard: list[int]
    junk: list[int]


class Truth(BaseModel):
    """The names of the images and what each query is to find; whatever else there is, such as boxes, is left out."""

    imlist: list[str]
    qimlist: list[str]
    gnd: list[Query]


def fetch(options: RevisitedConfig, directory: Path) -> None:
    """Pack the images, and write the ground truth as JSON beside them.

    Raises:
        Failure: a part is not there, the ground truth is not one, or what came is not what is expected.
    """
    files = sorted(file for ending in ("pkl", "json") for file in options.path.glob(f"gnd_*.{ending}"))
    if not (options.path / "jpg").is_dir() or len(files) != 1:
        raise Failure(
            f"source.path: {options.path} has to have a folder jpg and one gnd_<dataset>.pkl or .json; it has "
            f"{len(files)} of these; get them from {WHERE}"
        )
    (directory / TRUTH).write_text(ground_truth(files[0]).model_dump_json(), encoding="utf-8")
    folder.pack(options.path / "jpg", directory / folder.FILE)
    digest = check(str(options.path), pieces(directory / folder.FILE, directory / TRUTH), options.sha256)
    print(f"sha256 of {options.path}: {digest}", flush=True)


def ground_truth(file: Path) -> Truth:
    """Read what is published.

    Raises:
        Failure: it is something else, or would run code.
    """
    try:
        with file.open("rb") as stream:
            content = (
                json.load(stream) if file.suffix == ".json" else plain(Unpickler(stream, encoding="latin1").load())
            )
        truth = Truth.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        raise Failure(f"{file}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from error
    except (pickle.UnpicklingError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise Failure(f"{file}: not a ground truth: {error}") from error
    indices = [number for query in truth.gnd for kind in (query.easy, query.hard, query.junk) for number in kind]
    if len(truth.gnd) != len(truth.qimlist) or not all(0 <= number < len(truth.imlist) for number in indices):
        raise Failure(
            f"{file}: not a ground truth: it has {len(truth.gnd)} entries for {len(truth.qimlist)} queries, and the "
            f"numbers {min(indices, default=0)} to {max(indices, default=0)} for {len(truth.imlist)} images"
        )
    return truth


def read(options: RevisitedConfig, directory: Path) -> Dataset:
    """The gallery and the queries.

    Raises:
        Failure: an image that the ground truth names is not there.
    """
    packed, truth = directory / folder.FILE, Truth.model_validate_json((directory / TRUTH).read_bytes())
    with tarfile.open(packed) as tar:
        found = {folder.key(member.name): (member.name, member.offset_data, member.size) for member in tar}
    keys, asked = ([folder.key(f"{name}.jpg") for name in names] for names in (truth.imlist, truth.qimlist))
    if absent := [key for key in [*keys, *asked] if key not in found]:
        raise Failure(
            f"{options.path}: {len(absent)} images of the ground truth are not in jpg, such as {absent[0]}.jpg"
        )
    gallery, queries = (
        folder.Members(packed, [(name, label, offset, size) for name, offset, size in map(found.__getitem__, some)])
        for label, some in enumerate((keys, asked))
    )
    return Dataset(CLASSES, {"train": gallery, "test": Queries(queries, truth.gnd, keys)})


class Queries(Sequence[Sample]):
    """Queries, each with the keys of the images of the gallery that are easy, hard and junk."""

    def __init__(self, images: Sequence[Sample], truths: list[Query], keys: list[str]):
        self.images, self.truths, self.keys = images, truths, keys

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> Sample:  # type: ignore[override]
        indices = self.truths[number].model_dump()
        annotation = {kind: [self.keys[each] for each in some] for kind, some in indices.items()}
        return self.images[number]._replace(annotation=annotation)


class Unpickler(pickle.Unpickler):
    """Reads pickles that are made of what it knows, and calls nothing else."""

    def find_class(self, module: str, name: str) -> Callable:
        """What a pickle calls by its name.

        Raises:
            UnpicklingError: it is none of those that arrays of numbers are made by.
        """
        allowed = ALLOWED.get((module.replace("numpy._core", "numpy.core"), name))
        if allowed is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which a ground truth does not need")
        return allowed


class Numbers:
    """An array or a scalar while it is unpickled: numpy's own makes use of a state that nobody has checked."""

    def __init__(self, *arguments: Any):
        self.arguments, self.state = arguments, ()

    def __setstate__(self, state: tuple) -> None:
        self.state = state

    def plain(self) -> Any:
        """The numbers, as nested lists or as one."""
        if self.state:
            _, shape, kind, by_columns, raw = self.state
            return plain_array(kind, raw).reshape(shape, order="F" if by_columns else "C").tolist()
        kind, raw = self.arguments
        return plain_array(kind, raw)[0].item()


class Kind:
    """The type of an array's numbers while it is unpickled: `name` is such as i8, and the state has the byte order."""

    def __init__(self, name: str, *_: Any):
        self.name, self.order = name, "<"  # type: Any, Any

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1]


def plain_array(kind: Kind, raw: bytes | str) -> np.ndarray:
    """The numbers that bytes are; Python 2 wrote these as text.

    Raises:
        ValueError: they are no numbers.
    """
    dtype = np.dtype(kind.name).newbyteorder(kind.order)
    if dtype.kind not in "biuf":
        raise ValueError(f"an array of {dtype}, where numbers belong")
    return np.frombuffer(raw.encode("latin1") if isinstance(raw, str) else raw, dtype)


def plain(content: Any) -> Any:
    """What was unpickled, with lists in place of arrays."""
    if isinstance(content, Numbers):
        return content.plain()
    if isinstance(content, dict):
        return {key: plain(value) for key, value in content.items()}
    return [plain(value) for value in content] if isinstance(content, list | tuple) else content


ALLOWED: dict[tuple[str, str], Callable] = {
    ("numpy.core.multiarray", "_reconstruct"): Numbers,
    ("numpy.core.multiarray", "scalar"): Numbers,
    ("numpy", "ndarray"): Numbers,
    ("numpy", "dtype"): Kind,
    ("_codecs", "encode"): lambda text, _: text.encode("latin1"),
    ("__builtin__", "bytes"): lambda: b"",
}
"""What the pickle of an array names, and what is called in its place."""


def pieces(*files: Path) -> Iterator[bytes]:
    """The content of files, one after the other."""
    for file in files:
        with file.open("rb") as stream:
            yield from iter(lambda: stream.read(CHUNK), b"")
