"""Image files below a folder, each checked before it is read: a regular file of bounded size with a name in UTF-8."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NoReturn

from whole_in_parts.failure import Failure

EXTENSIONS = {".jpg": "jpg", ".jpeg": "jpg", ".png": "png"}
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
IMAGE_LIMIT = 1 << 28
"""Limit in bytes of an image file, since each is read as a whole."""


def is_image(name: str) -> bool:
    """Return whether the name is that of an image file."""
    return PurePosixPath(name).suffix.lower() in EXTENSIONS


def image_files(folder: Path) -> Iterator[Path]:
    """Yield the images below a folder, also through folders that are symbolic links.

    Raises:
        Failure: a folder cannot be read or links to one above it, or a file is not as `check_file` has it.
    """
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        for name in folders:
            _check_link(Path(parent, name))
        for name in filter(is_image, files):
            check_file(Path(parent, name))
            yield Path(parent, name)


def check_file(file: Path) -> None:
    """Check an image file before it is read.

    Raises:
        Failure: it is missing or no regular file, such as a pipe, or it is too large, or its name is not UTF-8.
    """
    check_name(str(file.parent), file.name)
    try:
        found = file.stat()
    except OSError as error:
        _refuse(error)
    if not stat.S_ISREG(found.st_mode):
        raise Failure(f"{file}: an image has to be a regular file; remove it")
    check_size(str(file), found.st_size)


def check_size(name: str, size: int) -> None:
    """Check the bytes of an image file before it is read.

    Raises:
        Failure: they are too many.
    """
    if size > IMAGE_LIMIT:
        raise Failure(f"{name}: an image of {size} bytes; allowed are {IMAGE_LIMIT}")


def check_name(place: str, name: str) -> None:
    """Check that a name in a place, a folder or an archive, is UTF-8 without control characters.

    Raises:
        Failure: it is not.
    """
    if CONTROL.search(name):
        raise Failure(f"{printable(place)}: {name!r} is a name with control characters; rename it")
    try:
        name.encode()
        place.encode()
    except UnicodeEncodeError:
        raise Failure(f"{printable(place)}: {printable(name)} is a name that is not UTF-8; rename it") from None


def printable(name: str) -> str:
    """Return a name of any bytes as text, those that are not UTF-8 as backslash and number."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _check_link(folder: Path) -> None:
    """Raise `Failure` if a folder is a symbolic link to one that it lies in, which has no end."""
    if folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve()):
        raise Failure(f"{printable(str(folder))}: a link to a folder that it lies in; remove it")


def _refuse(error: OSError) -> NoReturn:
    """Raise the failure of a file or folder that cannot be read."""
    raise Failure(f"{printable(str(error.filename))}: cannot be read ({error.strerror})") from error
