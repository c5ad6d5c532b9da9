"""What is packed of an image that is converted, and the message about those that are refused."""

import io

import numpy as np
import pytest
from PIL import Image

from stages.shard import pack
from tests.whole_in_parts.data.test_conversion import colours, encoded, transparent
from whole_in_parts.config.source import Resize
from whole_in_parts.data.packing.images import Refusal, as_packed, check_none_refused
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.data.source import Sample
from whole_in_parts.failure import Failure


def turned(kind: str, orientation: int = 6) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(colours(), kind, exif=exif)


def test_an_image_that_is_converted_is_packed_as_png_and_read_so(tmp_path):
    deep = Image.fromarray(np.full((12, 16), 0x8000, np.uint16))
    given = {
        "deep": Sample("deep", 0, encoded(deep, "png"), "png"),
        "turned": Sample("turned", 0, turned("jpeg"), "jpg"),
        "transparent": Sample("transparent", 0, encoded(transparent("RGB"), "png"), "png"),
        "map": Sample("map", 0, encoded(colours(), "ppm"), "ppm"),
    }
    pack([*given.values()], ["a"], tmp_path, 3, "train")
    split = Shards(tmp_path)
    assert {Image.open(io.BytesIO(split[number])).format for number in range(4)} == {"PNG"}
    images = Images(split, 12, 3)
    found = {key: images.original(number).numpy() for number, key in enumerate(split.keys)}
    assert (found["deep"] == 128).all()
    assert found["turned"].shape == (3, 16, 12)
    assert (found["transparent"][:, :, :8] == 255).all()
    np.testing.assert_array_equal(found["map"].transpose(1, 2, 0), colours())
    assert {key: tuple(split.extents_N2[number]) for number, key in enumerate(split.keys)} == {
        "deep": (12, 16), "turned": (16, 12), "transparent": (12, 16), "map": (12, 16)
    }  # fmt: skip


def test_an_image_that_is_shrunk_is_upright_first():
    small, size = as_packed(Sample("one", 0, turned("jpeg"), "jpg"), Resize(short_side=6))
    assert size == Image.open(io.BytesIO(small.image)).size == (6, 8)


def test_boxes_stay_on_the_pixels_that_they_were_drawn_on():
    sample = Sample("one", 0, turned("jpeg"), "jpg", {"boxes": [(0, 0, 8, 12)]})
    assert as_packed(sample, None) == (sample, (16, 12))


@pytest.mark.parametrize("processes", [1, 2])
def test_all_images_that_are_refused_are_counted_by_reason_and_the_first_named(tmp_path, processes):
    good = encoded(colours(), "png")
    bad = {f"cut/{number}": good[:-200] for number in range(5)} | {"other": encoded(colours(), "gif")}
    samples = [Sample(key, 0, image, "png") for key, image in bad.items()]
    samples += [Sample(f"good/{number}", 0, good, "png") for number in range(6)]
    with pytest.raises(Failure) as failure:
        pack(samples, ["a"], tmp_path, 2, "train", processes=processes)
    said = str(failure.value)
    assert "\n" not in said
    assert said.startswith("train: 6 of 12 images cannot be packed: 5 cannot be decoded (cut/")
    assert "; 1 GIF under the ending png (other.png); mend or remove them, then fetch again" in said
    assert said.count("cut/") == 3
    assert not list(tmp_path.iterdir())


def test_nothing_is_said_where_nothing_is_refused():
    check_none_refused("train", [], 3)
    with pytest.raises(Failure, match=r"^train: 1 of 3 images cannot be packed: 1 blue \(a\.png: sky\); mend"):
        check_none_refused("train", [Refusal("a.png", "blue", "sky")], 3)
