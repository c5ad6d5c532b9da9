"""Fashion-MNIST (Xiao et al., 2017, arXiv:1708.07747): 70,000 greyscale images of clothes, 28×28, ten classes.

It is downloaded as the Debian package `dataset-fashion-mnist` where apt is available (root is not needed), otherwise
through torchvision; both give the same four IDX files, which the checksum verifies.
"""

import gzip
import logging
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whole_in_parts.config.sources.fashion_mnist import FashionMNISTConfig
from whole_in_parts.data.source import Arrays, Dataset, check
from whole_in_parts.failure import Failure

PACKAGE = "dataset-fashion-mnist"
FILES = [f"{split}-{part}-ubyte" for split in ("train", "t10k") for part in ("images-idx3", "labels-idx1")]
CLASSES = ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]

log = logging.getLogger(__name__)


def fetch(options: FashionMNISTConfig, directory: Path) -> None:
    """Write the four IDX files, decompressed, into the directory and verify their checksum."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            from_debian(Path(folder), directory)
        except (OSError, subprocess.CalledProcessError) as error:
            log.warning("not from Debian (%s); trying torchvision", _reason(error))
            from_torchvision(Path(folder), directory)
    check("Fashion-MNIST", ((directory / name).read_bytes() for name in FILES), options.sha256)


def from_debian(folder: Path, directory: Path) -> None:
    """Download the package with apt and unpack it; if the machine has no package lists, fetch them first."""
    try:
        _run(folder, "apt-get", "download", PACKAGE)
    except subprocess.CalledProcessError:
        lists = [f"-oDir::State={folder}/state", f"-oDir::Cache={folder}/cache", "-oAPT::Sandbox::User="]
        for part in ("state/lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True)
        _run(folder, "apt-get", *lists, "update")
        _run(folder, "apt-get", *lists, "download", PACKAGE)

    (package,) = folder.glob("*.deb")
    _run(folder, "dpkg-deb", "-x", package.name, "package")
    for name in FILES:
        (packed,) = folder.glob(f"package/**/{name}.gz")
        with gzip.open(packed) as stream, (directory / name).open("wb") as file:
            shutil.copyfileobj(stream, file)


def from_torchvision(folder: Path, directory: Path) -> None:
    """Download the files with torchvision.

    Raises:
        Failure: the download failed.
    """
    from torchvision.datasets import FashionMNIST

    try:
        FashionMNIST(str(folder), download=True)
    except (OSError, RuntimeError) as error:
        raise Failure(f"Fashion-MNIST: neither apt nor torchvision could fetch it ({error})") from error
    for name in FILES:
        shutil.copyfile(folder / "FashionMNIST" / "raw" / name, directory / name)


def read(options: FashionMNISTConfig, directory: Path) -> Dataset:
    """Read both splits from the IDX files."""
    splits = {"train": "train", "test": "t10k"}
    return Dataset(
        CLASSES,
        {
            split: Arrays(idx(directory / f"{name}-images-idx3-ubyte"), idx(directory / f"{name}-labels-idx1-ubyte"))
            for split, name in splits.items()
        },
    )


def idx(file: Path) -> NDArray[np.uint8]:
    """Read an array of bytes in IDX format: two zeros, the type 8, the rank, the big-endian extents, the data.

    Raises:
        Failure: the file has another format, or is cut short.
    """
    content = file.read_bytes()
    if content[:3] != b"\x00\x00\x08":
        raise Failure(f"{file}: not an IDX file of bytes")
    try:
        extents = np.frombuffer(content, ">u4", content[3], 4)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(extents)
    except (ValueError, IndexError) as error:
        raise Failure(f"{file}: an IDX file that is damaged or cut short ({error}); fetch it again") from error


def _run(folder: Path, *command: str) -> None:
    """Run a command in a folder without output."""
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def _reason(error: Exception) -> str:
    """Return the last line of an error, that of the command if it ran one."""
    text = getattr(error, "stderr", None) or str(error)
    return text.strip().splitlines()[-1]
