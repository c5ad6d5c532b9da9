"""Files of every kind, encoded here by Pillow, and the pixels that readers take of them."""

import io

import numpy as np
import pytest
from PIL import Image

from whole_in_parts.data.conversion import Refused, decode

RAMP = np.linspace(0, 65535, 64 * 64).reshape(64, 64)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def colours(mode: str = "RGB") -> Image.Image:
    """A picture of 16 × 12 pixels whose left half is dark and whose right half is bright."""
    pixels = np.random.default_rng(0).integers(0, 60, (12, 16, 3), dtype=np.uint8)
    pixels[:, 8:] += 180
    return Image.fromarray(pixels).convert(mode)


def seen(content: bytes, extension: str = "png", upright: bool = True) -> np.ndarray:
    return np.asarray(decode(content, extension, upright)[0].convert("RGB")).astype(int)


def bomb() -> bytes:
    """A file of a few bytes whose header says 50,000 × 50,000 pixels."""
    header = bytearray(encoded(Image.new("L", (1, 1)), "bmp"))
    header[18:26] = (50_000).to_bytes(4, "little") * 2
    return bytes(header)


def transparent(mode: str) -> Image.Image:
    """The picture with its left half transparent."""
    image = colours("RGB").convert(mode)
    image.putalpha(Image.fromarray(np.repeat(np.uint8([[0] * 8 + [255] * 8]), 12, 0)))
    return image


@pytest.mark.parametrize(
    ("content", "extension"),
    [
        pytest.param(encoded(colours(), "png"), "png", id="RGB"),
        pytest.param(encoded(colours("L"), "png"), "png", id="grey"),
        pytest.param(encoded(colours("1"), "png"), "png", id="black and white"),
        pytest.param(encoded(colours().quantize(16), "png"), "png", id="palette"),
        pytest.param(encoded(colours("RGBA"), "png"), "png", id="opaque alpha"),
        pytest.param(encoded(colours(), "jpeg"), "jpg", id="JPEG"),
        pytest.param(encoded(colours("CMYK"), "jpeg"), "jpg", id="CMYK"),
        pytest.param(encoded(colours(), "mpo", save_all=True, append_images=[colours("L")]), "jpg", id="MPO"),
        pytest.param(encoded(colours(), "png"), "jpg", id="PNG called JPEG"),
    ],
)
def test_a_file_that_readers_take_right_is_as_it_is(content, extension):
    image, reads_right = decode(content, extension)
    assert reads_right
    np.testing.assert_array_equal(image.convert("RGB"), Image.open(io.BytesIO(content)).convert("RGB"))


def test_grey_of_16_bits_is_scaled_to_8_bits():
    ramp = RAMP.astype(np.uint16)
    image, reads_right = decode(encoded(Image.fromarray(ramp), "png"), "png")
    assert not reads_right
    assert np.abs(np.asarray(image) - ramp / 257).max() <= 0.5
    assert np.asarray(image).mean() == pytest.approx(127.5, abs=0.01)


def test_black_of_16_bits_is_black():
    assert not seen(encoded(Image.fromarray(np.zeros((4, 4), np.uint16)), "png")).any()


@pytest.mark.parametrize("turned", range(1, 9))
def test_the_orientation_of_exif_is_applied(turned):
    exif = Image.Exif()
    exif[0x0112] = turned
    content = encoded(colours(), "png", exif=exif)
    image, reads_right = decode(content, "png")
    pixels = np.asarray(colours())
    mirrored = pixels[:, ::-1]
    expected = {
        1: pixels, 2: mirrored, 3: np.rot90(pixels, 2), 4: np.rot90(mirrored, 2),
        5: np.rot90(mirrored), 6: np.rot90(pixels, 3), 7: np.rot90(mirrored, 3), 8: np.rot90(pixels),
    }  # fmt: skip
    np.testing.assert_array_equal(image, expected[turned])
    assert reads_right == (turned == 1)
    np.testing.assert_array_equal(decode(content, "png", upright=False)[0], pixels)


def test_exif_that_cannot_be_parsed_is_none():
    content = encoded(colours(), "jpeg", exif=b"Exif\0\0no header of TIFF")
    assert decode(content, "jpg")[1]


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_transparent_pixels_are_white_and_others_stay(mode):
    image = transparent(mode)
    found = seen(encoded(image, "png"))
    assert (found[:, :8] == 255).all()
    np.testing.assert_array_equal(found[:, 8:], np.asarray(colours(mode).convert("RGB"))[:, 8:])


def test_half_transparent_pixels_are_half_white():
    image = Image.new("RGBA", (4, 4), (0, 100, 200, 128))
    np.testing.assert_allclose(seen(encoded(image, "png"))[0, 0], [127, 177, 227], atol=1)


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_a_colour_that_is_declared_transparent_is_white(mode):
    image = Image.new("RGB", (4, 4), (10, 10, 10))
    image = image.quantize(2) if mode == "P" else image.convert(mode)
    declared = {"RGB": (10, 10, 10), "L": 10, "P": image.getpixel((0, 0))}[mode]
    assert (seen(encoded(image, "png", transparency=declared)) == 255).all()


@pytest.mark.parametrize(
    ("content", "extension", "reason"),
    [
        pytest.param(b"", "png", "cannot be decoded", id="nothing"),
        pytest.param(b"no image", "jpg", "cannot be decoded", id="text"),
        pytest.param(encoded(colours(), "jpeg")[:-200], "jpg", "cannot be decoded", id="truncated JPEG"),
        pytest.param(encoded(colours(), "png")[:-200], "png", "cannot be decoded", id="truncated PNG"),
        pytest.param(encoded(colours(), "gif"), "png", "GIF under the ending png", id="GIF"),
        pytest.param(encoded(colours(), "webp"), "jpg", "WEBP under the ending jpg", id="WebP"),
        pytest.param(encoded(colours(), "tiff"), "png", "TIFF under the ending png", id="TIFF"),
        pytest.param(encoded(colours(), "eps"), "png", "EPS under the ending png", id="EPS"),
        pytest.param(encoded(colours(), "png"), "ppm", "PNG under the ending ppm", id="PNG called PPM"),
        pytest.param(encoded(colours(), "png"), "", "PNG under the ending ", id="no ending"),
        pytest.param(
            encoded(colours(), "png", save_all=True, append_images=[colours("L").convert("RGB")]),
            "png",
            "more than one frame",
            id="animation",
        ),
        pytest.param(
            encoded(Image.fromarray(np.ones((4, 4), np.float32)), "tiff"), "tif", "pixels of mode F", id="floats"
        ),
        pytest.param(
            encoded(Image.fromarray(np.ones((4, 4), np.int32)), "tiff"), "tif", "pixels of mode I", id="32 bits"
        ),
        pytest.param(
            encoded(Image.fromarray((RAMP / 16).astype(np.uint16)), "png"),
            "png",
            "16-bit grey with no value above 4095 (12 bits, not scaled to 16?)",
            id="12 bits",
        ),
    ],
)
def test_what_has_no_rule_is_refused_with_its_reason(content, extension, reason):
    with pytest.raises(Refused) as refusal:
        decode(content, extension)
    assert refusal.value.reason == reason


def test_every_flip_of_a_bit_in_a_png_is_refused_or_leaves_the_pixels():
    content = encoded(colours(), "png")
    for place in range(0, 8 * len(content), 7):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        try:
            found = decode(bytes(flipped), "png")[0]
        except Refused:
            continue
        np.testing.assert_array_equal(found.convert("RGB"), colours())


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded():
    with pytest.raises(Refused) as refusal:
        decode(bomb(), "bmp")
    assert "2500000000 pixels" in refusal.value.detail
