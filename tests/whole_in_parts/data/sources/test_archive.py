"""Tars that are damaged, cut short, or made to do harm, each a real file that `folder` fetches."""

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from whole_in_parts.config.sources.folder import FolderConfig
from whole_in_parts.data.source import png
from whole_in_parts.data.sources import _archive, folder
from whole_in_parts.data.sources._files import IMAGE_LIMIT
from whole_in_parts.failure import Failure

FUZZED = 150
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "tar.gz": gzip.compress,
    "tar.xz": lzma.compress,
    "tar.bz2": bz2.compress,
}
PICTURE = png(Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)))
SIZE = -(-len(PICTURE) // 512) * 512
"""What the picture takes in a tar."""
NAMES = [
    f"{split}/{kind}/{number}.png" for split in ("train", "test") for kind in ("cat", "dog") for number in range(2)
]


def tar_of(*members: tarfile.TarInfo, names: list[str] = NAMES) -> bytes:
    """A tar with an image for each name, and behind them further members without content."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(PICTURE)
            tar.addfile(member, io.BytesIO(PICTURE))
        for member in members:
            tar.addfile(member)
    return stream.getvalue()


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


def fetched(file: Path, content: bytes) -> list[tuple[str, bytes]]:
    """Fetch a tar of this content, and return the names and images that are packed of it."""
    file.write_bytes(content)
    directory = file.parent / "fetched"
    directory.mkdir(exist_ok=True)
    folder.fetch(FolderConfig(name="folder", path=file), directory)
    packed = directory / folder.FILE
    stored = packed.read_bytes()
    return [(name, stored[offset : offset + size]) for name, offset, size in _archive.members(packed)]


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_the_images_of_a_tar_are_packed(tmp_path, ending):
    file = tmp_path / f"images.{ending}"
    notes = tarfile.TarInfo("train/notes.txt")
    assert fetched(file, COMPRESSIONS[ending](tar_of(notes))) == [(name, PICTURE) for name in NAMES]


@pytest.mark.parametrize("ending", COMPRESSIONS)
@pytest.mark.parametrize("part", [0.3, 0.7, 0.95])
def test_a_tar_that_is_cut_short_is_named(tmp_path, ending, part):
    file = tmp_path / f"images.{ending}"
    whole = tar_of()
    whole = whole[: whole.rindex(PICTURE) + len(PICTURE)] if ending == "tar" else COMPRESSIONS[ending](whole)
    said = [
        ": a tar that is damaged or cut short .*; get it again",
        " is neither a folder nor a tar of images that can be",
    ]
    with pytest.raises(Failure, match=f"{file}({'|'.join(said)})"):
        fetched(file, whole[: int(part * len(whole))])


def test_a_tar_that_ends_between_two_members_is_named(tmp_path):
    """Where it is cut, `tarfile` alone would see an end."""
    file, whole = tmp_path / "images.tar", tar_of()
    second = whole.index(b"train/cat/1.png")
    with pytest.raises(Failure, match=f"{file}: a tar that is damaged or cut short .*; get it again"):
        fetched(file, whole[:second])


def test_a_flipped_bit_in_the_header_of_a_member_is_named(tmp_path):
    file, damaged = tmp_path / "images.tar", bytearray(tar_of())
    damaged[damaged.index(b"test/cat/1.png")] ^= 1
    with pytest.raises(Failure, match=f"{file}: a tar that is damaged or cut short .bad checksum.; get it again"):
        fetched(file, damaged)


def test_a_flipped_bit_that_the_checksum_of_gzip_alone_shows_is_named(tmp_path):
    """Stored blocks of deflate have no checksum, so that the tar in them is whole but for a pixel."""
    file = tmp_path / "images.tar.gz"
    damaged = bytearray(gzip.compress(tar_of(), 0))
    damaged[damaged.index(PICTURE) + len(PICTURE) // 2] ^= 1
    with pytest.raises(Failure, match=f"{file}: a tar that is damaged or cut short .CRC check failed.*; get it again"):
        fetched(file, damaged)


def test_members_behind_the_end_of_a_tar_are_not_left_out_without_a_word(tmp_path):
    with pytest.raises(Failure, match=r"damaged or cut short .more follows behind its end."):
        fetched(tmp_path / "images.tar", tar_of() + tar_of(names=["train/cat/9.png"]))


@pytest.mark.parametrize("name", ["../victim.png", "/tmp/victim.png", "train/cat/../../../victim.png"])
def test_a_name_that_leads_out_of_the_archive_is_refused(tmp_path, name):
    with pytest.raises(Failure, match=rf"images\.tar: {name} leads out of the archive; pack it with relative names"):
        fetched(tmp_path / "images.tar", tar_of(names=[*NAMES, name]))


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.SYMTYPE], ids=["hard", "symbolic"])
@pytest.mark.parametrize("name", ["train/cat/9.png", "train/bird"], ids=["image", "class"])
def test_a_link_in_a_tar_is_refused(tmp_path, kind, name):
    content = tar_of(special(name, kind, "train/cat/0.png"))
    with pytest.raises(
        Failure, match=rf"{name} is a link to train/cat/0\.png; pack the file in its place .tar --deref"
    ):
        fetched(tmp_path / "images.tar", content)


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE], ids=["pipe", "device"])
def test_a_member_that_is_neither_file_nor_folder_is_refused(tmp_path, kind):
    with pytest.raises(Failure, match=r"train/cat/9\.png is neither a plain file nor a folder; leave it out"):
        fetched(tmp_path / "images.tar", tar_of(special("train/cat/9.png", kind)))


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    file = tmp_path / "images.tar"
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("train/cat/caf\udce9.png"))
    with pytest.raises(Failure, match=rf"{file}: train/cat/caf\\xe9\.png is a name that is not UTF-8; rename it"):
        fetched(file, stream.getvalue())


def with_size(size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A tar whose last member has a header of this size."""
    member = special("train/cat/0.png", kind)
    member.size = size
    return tar_of()[: len(NAMES) * (512 + SIZE)] + member.tobuf(tarfile.GNU_FORMAT) + bytes(10240)


def test_the_size_of_a_member_is_bounded_before_it_is_read(tmp_path):
    size = IMAGE_LIMIT + 1
    with pytest.raises(Failure, match=rf"train/cat/0\.png: an image of {size} bytes; allowed are {IMAGE_LIMIT}"):
        fetched(tmp_path / "images.tar", with_size(size))


@pytest.mark.parametrize(
    ("size", "kind"),
    [
        (-512, tarfile.REGTYPE),
        (-10_000, tarfile.REGTYPE),
        (1 << 33, tarfile.GNUTYPE_LONGNAME),
        (1 << 33, tarfile.XHDTYPE),
    ],
)
def test_a_header_of_an_impossible_size_is_named(tmp_path, size, kind):
    with pytest.raises(Failure, match=f"damaged or cut short .a header of size {size}.; get it again"):
        fetched(tmp_path / "images.tar", with_size(size, kind))


def test_a_stored_tar_that_was_damaged_later_is_named(tmp_path):
    fetched(tmp_path / "images.tar", tar_of())
    packed = tmp_path / "fetched" / folder.FILE
    packed.write_bytes(packed.read_bytes()[:1000])
    with pytest.raises(Failure, match=f"{packed}: a tar that is damaged or cut short"):
        folder.read(FolderConfig(name="folder", path=tmp_path / "images.tar"), packed.parent)


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_a_tar_whose_bytes_have_changed_gives_a_failure_or_images_under_their_names(tmp_path, ending):
    """An uncompressed tar has no checksum of its contents: there the names alone are held."""
    file = tmp_path / f"images.{ending}"
    whole = np.frombuffer(COMPRESSIONS[ending](tar_of()), np.uint8)
    rng = np.random.default_rng(0)
    failed = 0
    for _ in range(FUZZED):
        changed = whole.copy()
        places = rng.integers(len(whole), size=rng.integers(1, 4))
        changed[places] = rng.integers(256, size=len(places))
        cut = len(whole) if rng.random() < 0.8 else rng.integers(len(whole))
        try:
            found = fetched(file, changed[:cut].tobytes())
        except Failure as failure:
            assert "\n" not in str(failure)
            failed += 1
        else:
            assert [name for name, _ in found] == NAMES
            assert ending == "tar" or {image for _, image in found} == {PICTURE}
    assert failed > 0
