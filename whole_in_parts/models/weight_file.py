"""Read and download files of weights. What is in them is data alone: no code of a file is ever run."""

import argparse
import hashlib
import struct
import urllib.request
import warnings
from collections.abc import Mapping
from http.client import HTTPResponse
from pathlib import Path
from pickle import UnpicklingError
from tempfile import TemporaryDirectory
from typing import BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from whole_in_parts.failure import UNFIT, Failure, described, first_line

SECONDS = 60
"""How long a server may take to answer, and between two pieces of its answer."""

PIECE = 1 << 20
LARGEST = 20 << 30
"""Bytes of the largest file that is downloaded."""


def read(file: Path, entry: str = "") -> dict[str, Tensor]:
    """Read the tensors of a file by name: those of safetensors, or of an entry of what `torch.save` wrote.

    Args:
        file: safetensors, or any other file, which is read as torch's.
        entry: the dotted key of the dictionary of tensors in the file.

    Raises:
        Failure: the file is missing or damaged, holds more than data, or has no such entry.
    """
    try:
        content = load_file(file) if file.suffix == ".safetensors" else _read_torch(file)
    except (OSError, EOFError, struct.error, SafetensorError, *UNFIT) as error:
        raise Failure(f"{file}: not a file of weights that can be read ({described(error)})") from error
    except UnpicklingError as error:
        raise Failure(
            f"{file}: holds other objects than tensors and plain data, and none of its code was run "
            f"({first_line(error)}); save its dictionary of tensors alone"
        ) from error

    for key in filter(None, entry.split(".")):
        if not isinstance(content, Mapping) or key not in content:
            found = ", ".join(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
            raise Failure(f"{file}: has no entry {entry}; it has: {found[:200]}")
        content = content[key]

    if not isinstance(content, Mapping):
        raise Failure(f"{file}: holds a {type(content).__name__}, and no dictionary of tensors")
    return {str(name): tensor for name, tensor in content.items() if isinstance(tensor, Tensor)}


def _read_torch(file: Path) -> object:
    """Read what `torch.save` wrote, to the CPU; the options of a program (argparse) are plain data, too."""
    with warnings.catch_warnings(), torch.serialization.safe_globals([argparse.Namespace]):
        warnings.simplefilter("ignore", UserWarning)  # torch warns of files that it then refuses
        return torch.load(file, map_location="cpu", weights_only=True)


def download(url: str, file: Path) -> None:
    """Download a file, which is in its place only when it is complete.

    Raises:
        Failure: the server does not answer, or sends less than it announces or more than 20 GiB.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer, TemporaryDirectory(dir=file.parent) as folder:
            part = Path(folder, file.name)
            with part.open("wb") as stream:
                _copy(answer, stream)
            part.replace(file)
    except (OSError, ValueError) as error:
        raise Failure(f"{url}: cannot be downloaded ({error}); or put the file at {file}") from error


def _copy(answer: HTTPResponse, stream: BinaryIO) -> None:
    """Copy an answer piece by piece.

    Raises:
        ValueError: it is shorter than announced, or larger than is allowed.
    """
    announced = answer.headers.get("Content-Length")
    size = 0
    while piece := answer.read(PIECE):
        size += len(piece)
        if size > LARGEST:
            raise ValueError(f"more than {LARGEST >> 30} GiB")
        stream.write(piece)
    if announced and size != int(announced):
        raise ValueError(f"{size} bytes came of {announced}")


def check_sha256(file: Path, expected: str) -> None:
    """Check the sha256 of a file, or how it begins.

    Raises:
        Failure: it differs, or there is no such file.
    """
    try:
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise Failure(f"{file}: cannot be read ({error.strerror})") from error
    if not found.startswith(expected):
        raise Failure(f"{file}: its sha256 is {found}, and {expected} is expected")
