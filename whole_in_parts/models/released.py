"""Load weights that others trained into a network, completely or not at all, and check what it then computes."""

import copy
from collections.abc import Mapping, Sequence

import timm
import torch
from torch import Tensor, nn
from torchvision.models import resnet as torchvision_resnet

from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.backbones.resnet import Basic, ResNet
from whole_in_parts.models.backbones.timm import Timm
from whole_in_parts.models.origin import Released
from whole_in_parts.models.position_embedding import interpolate_as_dino

IMAGES = 2
TOLERANCE = 1e-5
"""By how much outputs may differ from those of the library's network, as a share of the largest."""

NORMALISATION_TOLERANCE = 1e-3
SHOWN = 5
COUNTER = ".num_batches_tracked"


def check_normalisation(backbone: Backbone, weights: Released, source: str) -> None:
    """Check that the backbone normalises its input as the weights expect it.

    Raises:
        Failure: mean or std differ.
    """
    for name, found, expected in (
        ("mean", backbone.mean, weights.mean),
        ("std", backbone.std, weights.std),
    ):
        if expected is None:
            continue
        numbers = found.flatten().tolist()
        if len(numbers) != len(expected) or any(
            abs(one - other) > NORMALISATION_TOLERANCE for one, other in zip(numbers, expected, strict=True)
        ):
            given = [round(number, 4) for number in numbers]
            raise Failure(f"backbone.{name}: {given}, and the weights of {source} need {[*expected]}")


def load(network: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Load all tensors into a network that has as many, of the same names and shapes.

    Counters of batch norm that a file leaves out stay 0: they have no effect on what a network computes.

    Raises:
        Failure: tensors are missing, left over, or of another shape; the message lists them.
    """
    state = network.state_dict()
    missing = [name for name in state if name not in tensors and not name.endswith(COUNTER)]
    left_over = [name for name in tensors if name not in state]
    differing = [
        f"{name} (of {shape(tensors[name])}, the network's of {shape(tensor)})"
        for name, tensor in state.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]

    problems = {"missing": missing, "left over": left_over, "of another shape": differing}
    if found := "; ".join(f"{kind}: {listed(names)}" for kind, names in problems.items() if names):
        raise Failure(f"{what} do not fit the network, and none were loaded; {found}")
    network.load_state_dict(state | dict(tensors))


def shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "no dimension"


def listed(names: Sequence[str]) -> str:
    """List the first names, and say how many there are in all."""
    more = f", … ({len(names)} in all)" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


@torch.no_grad()
def check_outputs(backbone: Backbone, image_size: int) -> None:
    """Check that a backbone computes of fixed images what the network of timm or torchvision with its weights does.

    A backbone that neither library has is not checked.

    Raises:
        Failure: the outputs differ by more than 1e-5 of the largest.
    """
    reference = library_network(backbone)
    if reference is None:
        return
    reference.load_state_dict(backbone.stored.state_dict(), assign=True)
    channels = backbone.mean.shape[1]
    images_BCHW = torch.rand((IMAGES, channels, image_size, image_size), generator=torch.Generator().manual_seed(0))

    training = backbone.training
    found_BD = backbone.eval()(images_BCHW).global_BD
    backbone.train(training)
    expected_BD = reference.eval()((images_BCHW - backbone.mean) / backbone.std)
    difference = float((found_BD - expected_BD).abs().max() / expected_BD.abs().max())
    if not difference <= TOLERANCE:
        raise Failure(
            f"backbone: with these weights its outputs differ from those of the library's network by {difference:.1e} "
            f"of the largest, more than {TOLERANCE:.0e}"
        )


def library_network(backbone: Backbone) -> nn.Module | None:
    """Build the network of timm or torchvision that a backbone stands for, without weights and classifier.

    Returns None if neither library has it.
    """
    if isinstance(backbone, Timm):
        channels = backbone.mean.shape[1]
        with torch.device("meta"):
            network = timm.create_model(backbone.name, num_classes=0, in_chans=channels, **backbone.arguments)
        if backbone.positions == "dino":
            interpolate_as_dino(network)
        return network
    if type(backbone) is ResNet and backbone.conv1.out_channels == 64 and len(backbone.stages) == 4:
        return _torchvision_network(backbone)
    return None


def _torchvision_network(backbone: ResNet) -> nn.Module:
    """Build torchvision's network with the blocks and the stem of a ResNet."""
    stages = [list(backbone.get_submodule(stage).children()) for stage in backbone.stages]
    block = torchvision_resnet.BasicBlock if isinstance(stages[0][0], Basic) else torchvision_resnet.Bottleneck
    with torch.device("meta"):
        network = torchvision_resnet.ResNet(block, [len(stage) for stage in stages])
    network.conv1 = copy.deepcopy(backbone.conv1)
    network.maxpool = backbone.maxpool
    network.fc = nn.Identity()
    return network
