"""One image as it is packed, and the message about all that are refused."""

import io
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from whole_in_parts.config.source import Resize
from whole_in_parts.data.conversion import decode
from whole_in_parts.data.source import Sample, png
from whole_in_parts.failure import Failure

SHOWN = 3
"""The most images that a message names for a reason."""


class Refusal(NamedTuple):
    """An image that is not packed: its key with its ending, the reason, and what is said of this image."""

    name: str
    reason: str
    detail: str


def as_packed(sample: Sample, resize: Resize | None) -> tuple[Sample, tuple[int, int]]:
    """Decode an image, and return it as it is packed, with its width and height.

    It is shrunk to a JPEG if it is larger than `resize`. Otherwise its bytes stay if they read right as they are, and
    it is encoded as PNG if not.

    Raises:
        Refused: it cannot be decoded, or is of a kind without a rule.
    """
    in_pixels = "boxes" in (sample.annotation or {})
    image, reads_right = decode(sample.image, sample.extension, upright=not in_pixels)

    if resize is not None and min(image.size) > resize.short_side:
        small, content = shrink(image, resize)
        return sample._replace(image=content, extension="jpg"), small
    if reads_right:
        return sample, image.size
    return sample._replace(image=clean_png(image), extension="png"), image.size


def shrink(image: Image.Image, resize: Resize) -> tuple[tuple[int, int], bytes]:
    """Shrink an image to the short side of `resize`; return its width and height, and the JPEG."""
    converted = image if image.mode in ("L", "RGB") else image.convert("RGB")
    scale = resize.short_side / min(image.size)
    size = (round(scale * image.width), round(scale * image.height))
    stream = io.BytesIO()
    converted.resize(size, Image.Resampling.BICUBIC).save(stream, "jpeg", quality=resize.quality)
    return size, stream.getvalue()


def clean_png(image: Image.Image) -> bytes:
    """Encode an image as PNG, without profile, EXIF or transparency of the file that it was."""
    plain = image.copy() if image.mode in ("1", "L", "P", "RGB") else image.convert("RGB")
    plain.info = {}
    return png(plain)


def check_none_refused(name: str, refusals: Sequence[Refusal], total: int) -> None:
    """Check that all of `total` images were packed.

    Raises:
        Failure: some were refused; it counts them by reason and names the first of each.
    """
    if not refusals:
        return
    of_reason: dict[str, list[Refusal]] = defaultdict(list)
    for refusal in refusals:
        of_reason[refusal.reason].append(refusal)

    reasons = sorted(of_reason.items(), key=lambda item: -len(item[1]))
    raise Failure(
        f"{name}: {len(refusals)} of {total} images cannot be packed: "
        f"{'; '.join(complaint(reason, same) for reason, same in reasons)}; mend or remove them, then fetch again"
    )


def complaint(reason: str, refusals: Sequence[Refusal]) -> str:
    """Format a reason with the number of its images and the first of their names."""
    names = [f"{entry.name}: {entry.detail}" if entry.detail else entry.name for entry in refusals[:SHOWN]]
    more = ", …" if len(refusals) > SHOWN else ""
    return f"{len(refusals)} {reason} ({', '.join(names)}{more})"
