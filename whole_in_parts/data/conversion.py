"""How an image file is read: which kinds are read as they are, converted, or refused.

Readers take the pixels as 8-bit grey or RGB, without looking at orientation, transparency or depth
(`Image.convert`). A file that this reads right is as it is; others are converted:

- 16-bit grey is scaled to 8 bits, 65535 to 255;
- the orientation of EXIF is applied;
- transparent pixels are composited on white.

Palettes and CMYK are converted by readers. Everything else is refused: what cannot be decoded, a format that is not
that of the file's ending, several frames, 16-bit grey without a value above 12 bits, and pixels of 32 bits or floats.
"""

import io
import zlib

import numpy as np
from PIL import Image, ImageOps

from whole_in_parts.failure import first_line

JPEG_OR_PNG = {"JPEG", "MPO", "PNG"}
"""The formats that are stored as they are. MPO is a JPEG with further pictures behind it, as cameras write it."""
READ_BY_CONVERT = {"1", "L", "P", "RGB", "CMYK", "YCbCr"}
"""The modes without transparency that `Image.convert` makes 8-bit grey or RGB."""
ORIENTATION = 0x0112
"""The tag of EXIF; 1 is upright."""
GROUND = (255, 255, 255, 255)
"""White, on which transparent pixels are composited."""
TWELVE_BITS = 4095


class Refused(Exception):
    """An image that is not read: a `reason`, which images can share, and a `detail` of this one, or nothing."""

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def decode(content: bytes, extension: str, upright: bool = True) -> tuple[Image.Image, bool]:
    """Decode an image file.

    Args:
        content: the file.
        extension: the ending of its name, in lower case and without a dot.
        upright: whether to apply the orientation of EXIF; boxes in pixels refer to the pixels as they are stored.

    Returns:
        The image, and whether the file is a JPEG or PNG that reads right as it is.

    Raises:
        Refused: it cannot be decoded, or is of a kind without a rule.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            check_kind(image, extension)
            image.load()
            found = image.format
            if found == "PNG":
                check_crcs(content)
            converted = convert(image, upright)
    except Refused:
        raise
    except Exception as error:  # a broken file makes Pillow raise errors of many types, those of its parsers included
        raise Refused("cannot be decoded", first_line(error)) from error
    return converted, converted is image and found in JPEG_OR_PNG


def check_kind(image: Image.Image, extension: str) -> None:
    """Check the format and the number of frames of an image that is not decoded yet.

    A JPEG may be called a PNG and the other way round, since ImageNet has such an image and both are read the same way.

    Raises:
        Refused: the format is another one than the ending says, or there are several frames.
    """
    is_usual = extension in {"jpg", "png"}
    expected = JPEG_OR_PNG if is_usual else {Image.registered_extensions().get(f".{extension}")}
    if image.format not in expected:
        raise Refused(f"{image.format} under the ending {extension}")
    # What lies behind the first picture of an MPO is a preview or a second view.
    if image.format != "MPO" and (frames := getattr(image, "n_frames", 1)) > 1:
        raise Refused("more than one frame", f"{frames} frames")


def check_crcs(png: bytes) -> None:
    """Check the CRC of every chunk of a PNG, since Pillow leaves out that of the last pixels.

    Raises:
        ValueError: one differs, or the last chunk is missing.
    """
    start, kind = 8, b""
    while kind != b"IEND":
        length = int.from_bytes(png[start : start + 4], "big")
        kind, end = png[start + 4 : start + 8], start + 8 + length
        if zlib.crc32(png[start + 4 : end]) != int.from_bytes(png[end : end + 4], "big") or not kind:
            raise ValueError("a chunk of the PNG differs from its CRC")
        start = end + 4


def convert(image: Image.Image, upright: bool) -> Image.Image:
    """Return a decoded image such that readers take it right; the image itself if they do as it is.

    Raises:
        Refused: its pixels are of a mode without a rule.
    """
    if upright and orientation(image) in range(2, 9):
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        return scaled_to_8_bits(image)
    if image.has_transparency_data:
        return on_ground(image)
    if image.mode not in READ_BY_CONVERT:
        raise Refused(f"pixels of mode {image.mode}")
    return image


def orientation(image: Image.Image) -> int:
    """Return the orientation that EXIF says, 1 to 8; 1 where there is none or EXIF cannot be parsed."""
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:  # as viewers do: the pixels are whole
        return 1


def scaled_to_8_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits, rounded.

    Raises:
        Refused: no value is above 4095, as in images of 12 bits that were not scaled, or one value is transparent.
    """
    if image.has_transparency_data:
        raise Refused("16-bit grey with transparency")
    values = np.asarray(image).astype(np.uint32)
    if 0 < values.max() <= TWELVE_BITS:
        raise Refused("16-bit grey with no value above 4095 (12 bits, not scaled to 16?)", f"at most {values.max()}")
    return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))


def on_ground(image: Image.Image) -> Image.Image:
    """Composite an image on white; an image without a transparent pixel is returned as it is."""
    layer = image.convert("RGBA")
    least, _ = layer.getchannel("A").getextrema()
    if least == 255:
        return image
    composited = Image.alpha_composite(Image.new("RGBA", layer.size, GROUND), layer)
    return composited.convert("L" if image.mode in {"1", "L", "LA", "La"} else "RGB")
