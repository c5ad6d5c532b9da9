"""No pretraining: the backbone has weights that others trained, of timm, of torchvision or of any file."""

from torch import Tensor, nn

from whole_in_parts.config.methods.weights import WeightsConfig
from whole_in_parts.methods.base import Method
from whole_in_parts.models import released
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.heads import mlp
from whole_in_parts.models.origin import read

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU}


class Weights(Method):
    """A backbone that takes no step and uses no view, and its projector if one is loaded."""

    views = 0

    def __init__(self, backbone: Backbone, options: WeightsConfig, image_size: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.options = options
        self.image_size = image_size
        self.projector = build_projector(backbone.features, options)

    def project(self, global_BD: Tensor) -> Tensor:
        return self.projector(global_BD) if self.options.projector else global_BD

    def load_released(self) -> None:
        weights = read(self.options.origin)
        source = f"origin {self.options.origin.name}"
        released.check_normalisation(self.backbone, weights, source)
        released.load(self.backbone.stored, weights.network, f"backbone: the weights of {source}")
        if self.options.projector:
            released.load(self.projector, weights.projector, f"projector: the weights of {source}")
        released.check_outputs(self.backbone, self.image_size)


def build_projector(features: int, options: WeightsConfig) -> nn.Module:
    """Build the projector that the layout describes, or the identity if none is to be loaded."""
    layout = getattr(options.origin, "layout", None)
    if not options.projector or not layout:
        return nn.Identity()
    described = layout.projector
    return mlp(
        [features, *options.projector],
        described.bias,
        described.last_bias,
        described.norm,
        described.last_norm,
        ACTIVATIONS[described.activation],
    )


def build(options: WeightsConfig, backbone: Backbone, classes: int, size: int) -> Weights:
    return Weights(backbone, options, size)
