"""The option `test_transform` of a dataset: how its images become the square input of a network in evaluation."""

from typing import Literal

from whole_in_parts.config.section import Count, Section

Interpolation = Literal["bilinear", "bicubic"]


class ImageTransform(Section):
    """A resize and a crop of the centre to the run's `image_size`, as torchvision's Resize and CenterCrop."""

    resize: Count | None = None
    """Short side of the resized image, in pixels (256 for 224 on ImageNet); the run's `image_size` if left out."""
    keep_aspect: bool = True
    """Keep the aspect ratio; `false` resizes both sides to `resize`."""
    interpolation: Interpolation = "bicubic"
    """Interpolation of the antialiased resize."""

    def fits(self, size: int) -> bool:
        """Return whether a crop of `size` pixels lies within the resized image."""
        return self.resize is None or size <= self.resize


DEFAULT_TRANSFORM = ImageTransform()
