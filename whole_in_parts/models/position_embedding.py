"""DINO's interpolation of a transformer's position embedding, in place of timm's.

DINO resizes the embedding to another grid by bicubic interpolation without antialiasing, at a scale of (new side + 0.1)
by the old side (`interpolate_pos_encoding` of github.com/facebookresearch/dino; the 0.1 keeps a floor from falling one
short). timm interpolates with antialiasing, at the exact scale. They differ for images of any size but that of the
embedding, such as the small crops of multi-crop.

Shapes: B images, H×W patches, L tokens, C channels.
"""

from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from whole_in_parts.shapes import Float

MARGIN = 0.1


def interpolate_as_dino(network: nn.Module) -> None:
    """Make a transformer of timm resize its position embedding as DINO does.

    Raises:
        ValueError: the network is no ViT with a class token whose embedding has a place for the token.
    """
    if (
        not isinstance(network, VisionTransformer)
        or network.pos_embed is None
        or network.num_prefix_tokens != 1
        or network.no_embed_class
        or not network.dynamic_img_size
    ):
        raise ValueError("backbone.positions: dino needs a ViT with one class token and a position embedding")
    network._pos_embed = MethodType(_embed_positions, network)


def resized(positions_1LC: Float[Tensor, "1 L C"], height: int, width: int) -> Float[Tensor, "1 M C"]:
    """Resize an embedding, of a class token and a square grid, to a grid of height × width."""
    side = round((positions_1LC.shape[1] - 1) ** 0.5)
    if (height, width) == (side, side):
        return positions_1LC

    grid_1CSS = positions_1LC[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
    scales = ((height + MARGIN) / side, (width + MARGIN) / side)
    grid_1CHW = F.interpolate(grid_1CSS, scale_factor=scales, mode="bicubic")
    return torch.cat([positions_1LC[:, :1], grid_1CHW.flatten(2).mT], 1)


def _embed_positions(self: Any, patches_BHWC: Tensor) -> Tensor:
    """Add the class token and the position embedding to patches; takes the place of timm's method."""
    batch, height, width, _ = patches_BHWC.shape
    tokens_BLC = torch.cat([self.cls_token.expand(batch, -1, -1), patches_BHWC.flatten(1, 2)], 1)
    return self.pos_drop(tokens_BLC + resized(self.pos_embed, height, width))
