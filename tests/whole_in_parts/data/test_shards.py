"""Shards as `stages.shard.pack` writes them and `whole_in_parts.data.shards` reads them."""

import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from webdataset import WebDataset

from stages.shard import pack
from whole_in_parts.data import shards
from whole_in_parts.data.shards import INDEX, Images, Shards, storage_device
from whole_in_parts.data.source import Sample, png
from whole_in_parts.failure import Failure

CLASSES = ["black", "white"]


def encoded(pixels: np.ndarray, extension: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, {"jpg": "jpeg", "png": "png"}[extension])
    return stream.getvalue()


def some_samples(extension: str = "png", number: int = 10, height: int = 12, width: int = 12) -> list[Sample]:
    """Samples of random pixels in RGB, of alternating classes."""
    pixels = np.random.default_rng(0).integers(0, 256, (number, height, width, 3), dtype=np.uint8)
    return [
        Sample(f"folder/{number}", number % 2, encoded(image, extension), extension)
        for number, image in enumerate(pixels)
    ]


@pytest.fixture
def packed(tmp_path):
    """A function that packs samples, four to a shard, and gives the folder."""

    def make(samples: list[Sample], name: str = "packed"):
        folder = tmp_path / name
        folder.mkdir()
        pack(samples, CLASSES, folder, 4, "test")
        return folder

    return make


@pytest.mark.parametrize("extension", ["jpg", "png"])
def test_what_is_packed_is_read_back_byte_for_byte(packed, extension):
    samples = some_samples(extension)
    split = Shards(packed(samples))
    assert {(split.keys[number], split.labels[number], split[number]) for number in range(len(split))} == {
        (sample.key, sample.label, sample.image) for sample in samples
    }
    assert len(split) == len(samples)
    assert split.classes == CLASSES


# WebDataset leaves the tars that it has read for the collector to close.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_webdataset_reads_the_same_keys_labels_and_bytes_in_the_same_order(packed):
    folder = packed(some_samples("jpg"))
    split, tars = Shards(folder), [str(file) for file in sorted(folder.glob("*.tar"))]
    streamed = [
        (sample["__key__"], int(sample["cls"]), sample["jpg"]) for sample in WebDataset(tars, shardshuffle=False)
    ]
    assert len(tars) == 3
    assert streamed == [(split.keys[number], split.labels[number], split[number]) for number in range(len(split))]


def test_the_order_is_mixed(packed):
    assert Shards(packed(some_samples())).keys != [sample.key for sample in some_samples()]


def test_the_same_images_make_the_same_bytes_at_any_time(packed, monkeypatch):
    first = packed(some_samples(), "first")
    monkeypatch.setattr("time.time", lambda: 2e9)
    second = packed(some_samples(), "second")
    files = sorted(file.name for file in first.iterdir())
    assert files == ["000000.tar", "000001.tar", "000002.tar", INDEX]
    for name in files:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


PNG_OF_A_SHORT_HEADER = b"\x89PNG\r\n\x1a\n\0\0\0\5IHDR" + bytes(30)


@pytest.mark.parametrize("image", [b"", b"no image", PNG_OF_A_SHORT_HEADER], ids=["empty", "text", "PNG"])
def test_an_image_that_cannot_be_read_is_not_packed_and_is_named(packed, image):
    with pytest.raises(Failure, match=r"1 cannot be decoded \(folder/bad\.png: "):
        packed([*some_samples(), Sample("folder/bad", 0, image, "png")])


@pytest.mark.parametrize("name", [INDEX, "000001.tar"])
def test_a_file_that_is_missing_is_named(packed, name):
    folder = packed(some_samples())
    (folder / name).unlink()
    with pytest.raises(Failure, match=str(folder / name)):
        Shards(folder)


@pytest.mark.parametrize("name", [INDEX, "000001.tar"])
def test_a_file_that_is_empty_is_named(packed, name):
    folder = packed(some_samples())
    os.truncate(folder / name, 0)
    with pytest.raises(Failure, match=str(folder / name)):
        Shards(folder)


def rewrite(index: Path, **columns: list) -> None:
    """Write an index anew with other values in some columns."""
    table = pq.read_table(index)
    for name, values in columns.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(values, table.schema.field(name).type))
    pq.write_table(table, index)


def flip(file: Path, image: bytes) -> None:
    """Flip a bit of an image in a file."""
    content = bytearray(file.read_bytes())
    content[content.index(image) + len(image) // 2] ^= 4
    file.write_bytes(content)


def spoilt(image: bytes, part: slice, content: bytes | None = None) -> bytes:
    """An image file of which a part is overwritten, by zeros if nothing else is given."""
    spoilt = bytearray(image)
    spoilt[part] = content or bytes(len(spoilt[part]))
    return bytes(spoilt)


@pytest.mark.parametrize(
    ("extension", "part", "content"),
    [
        pytest.param("jpg", slice(0, 4), None, id="JPEG, head"),
        pytest.param("jpg", slice(100, None), None, id="JPEG, tail"),
        pytest.param("png", slice(0, 4), None, id="PNG, head"),
        pytest.param("png", slice(100, None), None, id="PNG, tail"),
        pytest.param("png", slice(11, 12), b"\5", id="PNG, length of the header"),
        pytest.param("png", slice(33, 37), b"\0\0\0\x64", id="PNG, length of the pixels"),
    ],
)
def test_an_image_that_cannot_be_decoded_is_named_with_its_shard(packed, extension, part, content):
    folder, (sample,) = packed(some_samples(extension, number=1)), some_samples(extension, number=1)
    image = spoilt(sample.image, part, content)
    tar = (folder / "000000.tar").read_bytes()
    assert tar.count(sample.image) == 1
    (folder / "000000.tar").write_bytes(tar.replace(sample.image, image))
    rewrite(folder / INDEX, sha256=[hashlib.sha256(image).hexdigest()])
    with pytest.raises(Failure, match=f"folder/0 in {folder / '000000.tar'}: cannot be decoded"):
        Images(Shards(folder), 12, 3)[np.array([0])]


def test_an_image_of_another_extent_than_the_index_says_is_named(packed):
    folder = packed(some_samples(number=1))
    rewrite(folder / INDEX, height=[13])
    with pytest.raises(Failure, match=r"folder/0 in .*000000\.tar: cannot be decoded \(12×12 pixels, where .* 12×13\)"):
        Images(Shards(folder), 12, 3)[np.array([0])]


def test_a_flipped_bit_in_a_shard_is_named_with_key_and_shard_when_it_is_read(packed):
    folder = packed(some_samples(number=1))
    flip(folder / "000000.tar", some_samples(number=1)[0].image)
    with pytest.raises(Failure, match=r"folder/0 in .*/000000\.tar: the bytes are not those that were packed: restore"):
        Shards(folder)[0]
    with pytest.raises(Failure, match=r"folder/0 in .*/000000\.tar: the bytes are not those that were packed"):
        [*Shards(folder).iter_shards()]


def test_a_shard_that_is_cut_short_is_named_before_it_is_read(packed):
    folder = packed(some_samples(number=1))
    os.truncate(folder / "000000.tar", 2000)
    with pytest.raises(
        Failure, match=r"000000\.tar: it has 2000 bytes, and the index has images up to byte \d+: it is"
    ):
        Shards(folder)


@pytest.mark.parametrize("held", [True, False], ids=["held in memory", "decoded each time"])
def test_images_are_the_decoded_pixels_in_the_order_that_is_asked_for(packed, monkeypatch, held):
    monkeypatch.setattr(shards, "HELD_IN_MEMORY", 1 << 30 if held else 0)
    split = Shards(packed(some_samples()))
    images = Images(split, 12, 3)
    for indices in (np.array([3, 0, 3]), np.array([9, 3])):
        expected = [np.asarray(Image.open(io.BytesIO(split[number]))) for number in indices]
        assert torch.equal(images[indices], torch.tensor(np.stack(expected)).permute(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("device", "size", "free", "expected"),
    [
        ("cpu", 100, 0, "cpu"),
        ("cpu", 101, 0, None),
        ("cuda", 200, 800, "cuda"),
        ("cuda", 201, 800, None),
        ("cuda", 100, 0, "cpu"),
    ],
)
def test_images_are_held_by_a_gpu_with_room_for_them_or_in_memory_or_nowhere(monkeypatch, device, size, free, expected):
    monkeypatch.setattr(shards, "HELD_IN_MEMORY", 100)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 1000))
    assert storage_device(size, torch.device(device)) == (torch.device(expected) if expected else None)


def test_an_image_has_the_channels_that_are_asked_for(packed):
    grey = np.arange(144, dtype=np.uint8).reshape(12, 12)
    colour = np.stack([grey, grey, grey], -1)
    folder = packed(
        [Sample("grey", 0, encoded(grey, "png"), "png"), Sample("colour", 0, encoded(colour, "png"), "png")]
    )
    for channels in (1, 3):
        images_BCHW = Images(Shards(folder), 12, channels)[np.arange(2)]
        assert torch.equal(images_BCHW, torch.tensor(grey).expand(2, channels, 12, 12))


def test_an_image_with_a_palette_is_read_in_its_colours(packed):
    colours = Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)).quantize(16)
    folder = packed([Sample("palette", 0, png(colours), "png")])
    expected = torch.tensor(np.array(colours.convert("RGB"))).permute(2, 0, 1)
    assert torch.equal(Images(Shards(folder), 12, 3)[np.array([0])][0], expected)
