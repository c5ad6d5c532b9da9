"""Projectors and predictors, which map representations to the embeddings of the loss.

Shapes: P positions, B images, C and D dimensions. A head processes all positions as one batch (P · B, C): its linear
layers then act as 1×1 convolutions, and its batch norms have the statistics of a map (B, C, N, N).
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from whole_in_parts.config.methods.matrix_ssl import MatrixSSLConfig
from whole_in_parts.config.methods.mec import MECConfig
from whole_in_parts.config.methods.simsiam import SimSiamConfig
from whole_in_parts.schedules import Clock
from whole_in_parts.shapes import Float


class Heads(nn.Module):
    """A projector, and on top of it a predictor if the method has one.

    With `constant_predictor_rate` the predictor is trained at the peak learning rate in every step.
    """

    def __init__(
        self, projector: nn.Module, predictor: nn.Module | None = None, constant_predictor_rate: bool = False
    ) -> None:
        super().__init__()
        self.projector = projector
        self.predictor = predictor or nn.Identity()
        self.constant_predictor_rate = constant_predictor_rate

    def project(self, x_PBC: Float[Tensor, "P B C"]) -> Float[Tensor, "P B D"]:
        """Map representations to embeddings (P, B, D)."""
        return apply_per_position(self.projector, x_PBC)

    def predict(self, z_PBD: Float[Tensor, "P B C"]) -> Float[Tensor, "P B D"]:
        """Map embeddings to predictions (P, B, D)."""
        return apply_per_position(self.predictor, z_PBD)

    def prepare(self, clock: Clock) -> None:
        """Set the scheduled values of the next step; called before every step."""

    def update(self, clock: Clock) -> None:
        """Update the state after an optimizer step, which the clock already counts."""


def apply_per_position(head: nn.Module, x_PBC: Float[Tensor, "P B C"]) -> Float[Tensor, "P B D"]:
    """Apply a head for vectors (N, C) to all positions of all images."""
    return head(x_PBC.flatten(0, 1)).unflatten(0, x_PBC.shape[:2])


def by_position(map_BCNN: Float[Tensor, "B C H W"]) -> Float[Tensor, "P B C"]:
    """Reshape a map to its local representations (P, B, C), row by row."""
    return map_BCNN.flatten(2).permute(2, 0, 1)


def mlp(
    widths: Sequence[int],
    bias: bool = True,
    last_bias: bool | None = None,
    norm: bool = True,
    last_norm: bool = False,
    activation: type[nn.Module] = nn.ReLU,
) -> nn.Sequential:
    """Build an MLP with the given widths, from input to output, with batch norm and an activation between the layers.

    `bias` gives the linear layers a bias; `last_bias` overrides it for the last one. `last_norm` appends a batch norm
    without parameters.
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths[:-1]):
        layers += [nn.Linear(inputs, outputs, bias=bias)]
        layers += [nn.BatchNorm1d(outputs)] * norm + [activation()]
    layers += [nn.Linear(widths[-2], widths[-1], bias=bias if last_bias is None else last_bias)]
    return nn.Sequential(*layers, *([nn.BatchNorm1d(widths[-1], affine=False)] * last_norm))


def simsiam_mlps(
    features: int, options: SimSiamConfig | MECConfig | MatrixSSLConfig
) -> tuple[nn.Sequential, nn.Sequential]:
    """Build projector and predictor of SimSiam (Chen and He, 2021, section 4), which MEC and Matrix-SSL reuse."""
    widths = [features, *options.projector]
    output = options.projector[-1]
    predictor = mlp([output, options.predictor, output], bias=False, last_bias=True)
    return mlp(widths, bias=False, last_norm=True), predictor
