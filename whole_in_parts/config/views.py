"""The option `views` of a run: the augmentations of each view."""

from typing import Annotated

from pydantic import Field

from whole_in_parts.config.section import Bounds, Count, Fraction, PositiveFractions, Section
from whole_in_parts.config.transform import Interpolation


class View(Section):
    """The augmentations of one view; strengths of the colour jitter are those of torchvision's ColorJitter."""

    crop_scale: PositiveFractions
    """Smallest and largest area of the crop, as a fraction of the image's area, above 0 and at most 1."""
    ratio: Bounds = (3 / 4, 4 / 3)
    """Smallest and largest aspect ratio (width / height) of the crop."""
    interpolation: Interpolation = "bilinear"
    """Interpolation of the antialiased resize of the crop."""
    flip: Fraction = 0.5
    """Probability of a horizontal flip."""
    jitter: Fraction = 0.8
    """Probability of colour jitter."""
    brightness: Fraction = 0.4
    """Strength of the brightness jitter, 0 to 1."""
    contrast: Fraction = 0.4
    """Strength of the contrast jitter, 0 to 1."""
    saturation: Fraction = 0.2
    """Strength of the saturation jitter, 0 to 1."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Strength of the hue jitter, 0 to 0.5."""
    greyscale: Fraction = 0.2
    """Probability of conversion to greyscale."""
    blur: Fraction = 0.0
    """Probability of Gaussian blur."""
    solarize: Fraction = 0.0
    """Probability of solarisation."""


class SmallCrops(Section):
    """A number of small crops, all with the same augmentations."""

    count: Count
    """Number of crops of each image."""
    size: Count
    """Side of a crop, in pixels; not above the run's `image_size`."""
    view: View
    """The augmentations of the crops."""
