"""Fashion-MNIST, from a Debian package and from a torchvision download that are made up here."""

import gzip
import hashlib
import io
import struct
from pathlib import Path

import numpy as np
import pytest
import torchvision
from PIL import Image

from whole_in_parts.config.sources.fashion_mnist import FashionMNISTConfig
from whole_in_parts.data.sources import fashion_mnist
from whole_in_parts.failure import Failure

RANDOM = np.random.default_rng(0)
PIXELS = {split: RANDOM.integers(0, 256, (number, 28, 28), np.uint8) for split, number in (("train", 30), ("t10k", 20))}
LABELS = {split: np.arange(len(pixels), dtype=np.uint8) % 10 for split, pixels in PIXELS.items()}


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


FILES = {
    name: idx(array[split])
    for split in ("train", "t10k")
    for name, array in ((f"{split}-images-idx3-ubyte", PIXELS), (f"{split}-labels-idx1-ubyte", LABELS))
}
OPTIONS = FashionMNISTConfig(name="fashion_mnist", sha256=hashlib.sha256(b"".join(FILES.values())).hexdigest())


@pytest.fixture
def no_apt(tmp_path, monkeypatch):
    """A machine on which there is no program at all."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


@pytest.fixture
def download(monkeypatch):
    """torchvision's own class, after a download that gave our files."""
    genuine = torchvision.datasets.FashionMNIST

    def fetched(root: str, download: bool):
        raw = Path(root, "FashionMNIST", "raw")
        raw.mkdir(parents=True)
        for name, content in FILES.items():
            (raw / name).write_bytes(content)
        return genuine(root, download=download)

    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", fetched)


@pytest.fixture
def fetched(tmp_path) -> Path:
    folder = tmp_path / "fetched"
    folder.mkdir()
    return folder


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\nset -e\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def debian(tmp_path, monkeypatch):
    """A machine with apt, which knows the package only after an update with lists of its own."""
    programs, packed = tmp_path / "bin", tmp_path / "packed"
    programs.mkdir()
    packed.mkdir()
    for name, content in FILES.items():
        (packed / f"{name}.gz").write_bytes(gzip.compress(content))
    program(
        programs,
        "apt-get",
        f"""case "$*" in
        *Dir::State=*update) touch {tmp_path}/lists ;;
        *Dir::State=*"download dataset-fashion-mnist") test -e {tmp_path}/lists; touch dataset_0.deb ;;
        *) echo "E: Unable to locate package" >&2; exit 100 ;;
        esac""",
    )
    program(programs, "dpkg-deb", f'mkdir -p "$3/usr/share/dataset"; cp {packed}/* "$3/usr/share/dataset"')
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")


def check(folder: Path) -> None:
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == FILES


def test_it_comes_from_the_debian_package_where_apt_has_lists_of_nothing(debian, fetched, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "from_torchvision", lambda *_: pytest.fail("apt was not enough"))
    fashion_mnist.fetch(OPTIONS, fetched)
    check(fetched)


def test_it_comes_through_torchvision_where_there_is_no_apt(no_apt, download, fetched, caplog):
    fashion_mnist.fetch(OPTIONS, fetched)
    check(fetched)
    assert "not from Debian" in caplog.text
    assert "apt-get" in caplog.text


def test_no_way_to_fetch_it_is_a_failure_that_says_so(no_apt, fetched, monkeypatch):
    def offline(root, download):
        raise RuntimeError("no mirror answers")

    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", offline)
    with pytest.raises(Failure, match=r"neither apt nor torchvision could fetch it \(no mirror answers\)"):
        fashion_mnist.fetch(OPTIONS, fetched)


def test_other_files_than_those_expected_are_refused(no_apt, download, fetched):
    with pytest.raises(Failure, match=r"Fashion-MNIST: its sha256 is .* expects 000000"):
        fashion_mnist.fetch(OPTIONS.model_copy(update={"sha256": "0" * 64}), fetched)


def test_the_splits_are_the_pixels_and_labels_of_the_idx_files(no_apt, download, fetched):
    fashion_mnist.fetch(OPTIONS, fetched)
    content = fashion_mnist.read(OPTIONS, fetched)
    assert content.classes[9] == "ankle boot"
    for split, name in (("train", "train"), ("test", "t10k")):
        samples = content.splits[split]
        assert [sample.label for sample in samples] == LABELS[name].tolist()
        pixels = [np.asarray(Image.open(io.BytesIO(sample.image))) for sample in samples]
        np.testing.assert_array_equal(pixels, PIXELS[name])


@pytest.mark.parametrize("shape", [(5,), (2, 3), (4, 3, 2)])
def test_idx_reads_what_its_format_says(tmp_path, shape):
    array = RANDOM.integers(0, 256, shape, np.uint8)
    (tmp_path / "file").write_bytes(idx(array))
    np.testing.assert_array_equal(fashion_mnist.idx(tmp_path / "file"), array)


@pytest.mark.parametrize("length", [3, 7, 20])
def test_an_idx_file_that_is_cut_short_is_named(tmp_path, length):
    file = tmp_path / "file"
    file.write_bytes((b"\x00\x00\x08\x02" + (3).to_bytes(4, "big") * 2 + bytes(9))[:length])
    with pytest.raises(Failure, match=f"{file}: an IDX file that is damaged or cut short .*; fetch it again"):
        fashion_mnist.idx(file)


@pytest.mark.parametrize("content", [b"", b"\x00\x00\x0d\x01\x00\x00\x00\x01\x00\x00\x00\x00", b"<html>"])
def test_what_is_no_idx_file_of_bytes_is_named(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(Failure, match=f"{tmp_path / 'file'}: not an IDX file of bytes"):
        fashion_mnist.idx(tmp_path / "file")
