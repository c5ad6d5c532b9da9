"""What is exported: a backbone alone, or with the classifier of its linear probe. Shapes: B images of side S."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.shapes import Float

TOLERANCE = 1e-4
"""By how much the outputs of the exported network may differ, as a share of the largest."""

DESCRIPTION = "export.json"


class Exported(nn.Module):
    """Map images (B, channels, S, S) in [0, 1] to features (B, D), or by a classifier to logits (B, classes)."""

    def __init__(self, backbone: Backbone, classifier: nn.Linear | None, image_size: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier
        self.image_size = image_size
        self.eval()

    def forward(self, images_BCHW: Float[Tensor, "B C H W"]) -> Tensor:
        global_BD = self.backbone(images_BCHW).global_BD
        return self.classifier(global_BD) if self.classifier else global_BD

    @property
    def output(self) -> str:
        """The name of the output."""
        return "logits" if self.classifier else "features"

    def examples(self, images: int) -> Tensor:
        """Draw images, always the same."""
        channels = self.backbone.mean.shape[1]
        generator = torch.Generator().manual_seed(0)
        return torch.rand((images, channels, self.image_size, self.image_size), generator=generator)

    def describe(self, folder: Path, description: Mapping[str, object], normalises: bool) -> None:
        """Write `export.json`: what goes in and what comes out, and what the format adds.

        Args:
            folder: where.
            description: what the format adds.
            normalises: whether the exported network normalises its input; else its user does.
        """
        buffers = (self.backbone.mean, self.backbone.std)
        mean, std = ([round(number, 6) for number in buffer.flatten().tolist()] for buffer in buffers)
        inputs = {
            "name": "images",
            "shape": ["batch", len(mean), self.image_size, self.image_size],
            "mean": mean,
            "std": std,
            "normalised_by": f"{'the network' if normalises else 'its user'}: (image in [0, 1] - mean) / std",
        }

        width = self.classifier.out_features if self.classifier else self.backbone.features
        content = {**description} | {"input": inputs, "output": {"name": self.output, "shape": ["batch", width]}}
        (folder / DESCRIPTION).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def check(self, found_BK: Tensor, images_BCHW: Tensor, by: str) -> None:
        """Check outputs of the exported network against those of this one.

        Raises:
            Failure: they differ by more than 1e-4 of the largest.
        """
        with torch.inference_mode():
            expected_BK = self(images_BCHW)
        if found_BK.shape != expected_BK.shape:
            raise Failure(f"{by} gives outputs of {[*found_BK.shape]} and torch of {[*expected_BK.shape]}")
        difference, largest = float((found_BK - expected_BK).abs().max()), float(expected_BK.abs().max())
        if not difference <= TOLERANCE * largest:
            raise Failure(f"{by} gives outputs that differ from torch's by {difference:.1e}, of {largest:.1e} at most")
