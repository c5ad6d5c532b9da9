"""Projectors and predictors: what stands between a representation and the loss.

Shapes: P positions, B images, C and D dimensions. A head works on all positions at once: a linear layer at each
position is a 1×1 convolution, and a batch norm over (P · B, C) is one over (B, C, N, N).
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from whole_in_parts.config.methods.matrix_ssl import MatrixSSLConfig
from whole_in_parts.config.methods.mec import MECConfig
from whole_in_parts.config.methods.simsiam import SimSiamConfig
from whole_in_parts.schedules import Clock


class Heads(nn.Module):
    """A projector, and a predictor on top of it where a method has one."""

    def __init__(self, projector: nn.Module, predictor: nn.Module | None = None) -> None:
        super().__init__()
        self.projector, self.predictor = projector, predictor or nn.Identity()

    def project(self, x_PBC: Tensor) -> Tensor:
        return apply_per_position(self.projector, x_PBC)

    def predict(self, z_PBD: Tensor) -> Tensor:
        return apply_per_position(self.predictor, z_PBD)

    def prepare(self, clock: Clock) -> None:
        """Called before each step, for what follows a schedule."""

    def update(self, clock: Clock) -> None:
        """Called after each optimizer step, which the clock counts already."""


def apply_per_position(head: nn.Module, x_PBC: Tensor) -> Tensor:
    """Apply a head for vectors to each position of each image."""
    return head(x_PBC.flatten(0, 1)).unflatten(0, x_PBC.shape[:2])


def by_position(map_BCNN: Tensor) -> Tensor:
    """The local representations (P, B, C) of a map, row by row."""
    return map_BCNN.flatten(2).permute(2, 0, 1)


def mlp(
    widths: Sequence[int],
    bias: bool = True,
    last_bias: bool | None = None,
    norm: bool = True,
    last_norm: bool = False,
    activation: type[nn.Module] = nn.ReLU,
) -> nn.Sequential:
    """Linear layers of the given widths, inputs first; between them batch norm and an activation.

    `bias` is about the linear layers, `last_bias` about the last one where it differs from the others; `last_norm`
    adds a batch norm without parameters after it.
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
    """Projector and predictor of SimSiam (Chen and He, 2021, section 4), which MEC and Matrix-SSL take over."""
    widths, output = [features, *options.projector], options.projector[-1]
    predictor = mlp([output, options.predictor, output], bias=False, last_bias=True)
    return mlp(widths, bias=False, last_norm=True), predictor
