"""Revisited Oxford and Paris (Radenović et al., 2018, arXiv:1803.11285): retrieval of photographs of landmarks.

The source is a folder with the images, `jpg/<name>.jpg`, and the published ground truth, `gnd_<dataset>.pkl`, or the
same as JSON, `gnd_<dataset>.json`: the names of the gallery (`imlist`) and of the queries (`qimlist`), and for each
query (`gnd`) the gallery indices of the images that are `easy`, `hard` and `junk`. Train is the gallery and test the
queries, each with the keys of these images as its annotation. The two classes are `gallery` and `query`.

Loading a pickle can run arbitrary code. Here nothing is run: only lists, dictionaries, text, numbers and arrays of
numbers are accepted, and a pickle that refers to anything else is refused.
"""

import json
import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from whole_in_parts.config.sources.revisited import RevisitedConfig
from whole_in_parts.data.source import Dataset, Sample, check
from whole_in_parts.data.sources import _archive, folder
from whole_in_parts.failure import Failure

CLASSES = ["gallery", "query"]
TRUTH = "ground_truth.json"
WHERE = "http://cmp.felk.cvut.cz/revisitop"
CHUNK = 1 << 20


class Query(BaseModel):
    """Gallery indices of the images that show the landmark of a query."""

    easy: list[int]
    hard: list[int]
    junk: list[int]


class Truth(BaseModel):
    """The names of the images and the relevant images of each query; other entries, such as boxes, are ignored."""

    imlist: list[str]
    qimlist: list[str]
    gnd: list[Query]


def fetch(options: RevisitedConfig, directory: Path) -> None:
    """Pack the images, and write the ground truth as JSON beside them.

    Raises:
        Failure: a file is missing, the ground truth is invalid, or the checksum differs.
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
    """Read and validate the published ground truth.

    Raises:
        Failure: the file has another format, or its pickle would run code.
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

    indices = [index for query in truth.gnd for group in (query.easy, query.hard, query.junk) for index in group]
    if len(truth.gnd) != len(truth.qimlist) or not all(0 <= index < len(truth.imlist) for index in indices):
        raise Failure(
            f"{file}: not a ground truth: it has {len(truth.gnd)} entries for {len(truth.qimlist)} queries, and the "
            f"numbers {min(indices, default=0)} to {max(indices, default=0)} for {len(truth.imlist)} images"
        )
    return truth


def read(options: RevisitedConfig, directory: Path) -> Dataset:
    """Read the gallery as train and the queries as test.

    Raises:
        Failure: an image that the ground truth names is missing.
    """
    packed = directory / folder.FILE
    truth = Truth.model_validate_json((directory / TRUTH).read_bytes())
    members = {folder.key(name): (name, offset, size) for name, offset, size in _archive.members(packed)}

    gallery_keys, query_keys = (
        [folder.key(f"{name}.jpg") for name in names] for names in (truth.imlist, truth.qimlist)
    )
    if missing := [key for key in [*gallery_keys, *query_keys] if key not in members]:
        raise Failure(
            f"{options.path}: {len(missing)} images of the ground truth are not in jpg, such as {missing[0]}.jpg"
        )

    gallery, queries = (
        folder.Members(packed, [(name, label, offset, size) for name, offset, size in map(members.__getitem__, keys)])
        for label, keys in enumerate((gallery_keys, query_keys))
    )
    return Dataset(CLASSES, {"train": gallery, "test": Queries(queries, truth.gnd, gallery_keys)})


class Queries(Sequence[Sample]):
    """The queries; the annotation of each lists the keys of its easy, hard and junk gallery images."""

    def __init__(self, images: Sequence[Sample], truths: list[Query], keys: list[str]):
        self.images = images
        self.truths = truths
        self.keys = keys

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]
        groups = self.truths[index].model_dump()
        annotation = {name: [self.keys[position] for position in positions] for name, positions in groups.items()}
        return self.images[index]._replace(annotation=annotation)


class Unpickler(pickle.Unpickler):
    """An unpickler that builds arrays of numbers from its own classes and calls nothing else."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """Return the substitute for a global that a pickle refers to.

        Raises:
            UnpicklingError: the global is not needed for arrays of numbers.
        """
        allowed = ALLOWED.get((module.replace("numpy._core", "numpy.core"), name))
        if allowed is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which a ground truth does not need")
        return allowed


class PickledArray:
    """An array or a scalar while it is unpickled; numpy's own classes would use a state that has not been validated."""

    def __init__(self, *arguments: Any):
        self.arguments = arguments
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def plain(self) -> Any:
        """Return the numbers as nested lists, or a scalar as a number."""
        if self.state:
            _, shape, dtype, is_column_major, raw = self.state
            return plain_array(dtype, raw).reshape(shape, order="F" if is_column_major else "C").tolist()
        dtype, raw = self.arguments
        return plain_array(dtype, raw)[0].item()


class PickledDtype:
    """The dtype of an array while it is unpickled; `name` is, for example, i8, and the state holds the byte order."""

    def __init__(self, name: str, *_: Any):
        self.name = name
        self.order: Any = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]


def plain_array(pickled: PickledDtype, raw: bytes | str) -> NDArray[Any]:
    """Decode raw bytes into an array of numbers; pickles of Python 2 store the bytes as text.

    Raises:
        ValueError: the dtype is not numeric.
    """
    dtype = np.dtype(pickled.name).newbyteorder(pickled.order)
    if dtype.kind not in "biuf":
        raise ValueError(f"an array of {dtype}, where numbers belong")
    return np.frombuffer(raw.encode("latin1") if isinstance(raw, str) else raw, dtype)


def plain(content: Any) -> Any:
    """Replace arrays by lists in unpickled content."""
    if isinstance(content, PickledArray):
        return content.plain()
    if isinstance(content, dict):
        return {key: plain(value) for key, value in content.items()}
    return [plain(value) for value in content] if isinstance(content, list | tuple) else content


ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): PickledArray,
    ("numpy.core.multiarray", "scalar"): PickledArray,
    ("numpy", "ndarray"): PickledArray,
    ("numpy", "dtype"): PickledDtype,
    ("_codecs", "encode"): lambda text, _: text.encode("latin1"),
    ("__builtin__", "bytes"): lambda: b"",
}
"""The globals that the pickle of an array refers to, and their substitutes."""


def pieces(*files: Path) -> Iterator[bytes]:
    """Yield the contents of the files in order, in chunks."""
    for file in files:
        with file.open("rb") as stream:
            yield from iter(lambda: stream.read(CHUNK), b"")
