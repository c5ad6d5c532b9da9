"""A run's `views`: how the augmented views of an image are made."""

from typing import Annotated, Literal

from pydantic import Field

from whole_in_parts.config.section import Bounds, Count, Fraction, PositiveFractions, Section


class View(Section):
    """The augmentations of one view: shares are probabilities, strengths are those of torchvision's ColorJitter.

    `crop_scale` bounds the crop's share of the image's area, and `ratio` its width by its height.
    """

    crop_scale: PositiveFractions
    ratio: Bounds = (3 / 4, 4 / 3)
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    flip: Fraction = 0.5
    jitter: Fraction = 0.8
    brightness: Fraction = 0.4
    contrast: Fraction = 0.4
    saturation: Fraction = 0.2
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    greyscale: Fraction = 0.2
    blur: Fraction = 0.0
    solarize: Fraction = 0.0


class SmallCrops(Section):
    """`count` crops of `size` pixels, all made in one way."""

    count: Count
    size: Count
    view: View
