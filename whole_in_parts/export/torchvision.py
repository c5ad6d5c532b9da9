"""Write the weights of a ResNet by torchvision's names: `model.pth`, for `torchvision.models.resnet50` and the like.

Torchvision's networks do not normalise: images in [0, 1] are to be normalised by the mean and std of `export.json`.
With logits, `fc` is the classifier of the linear probe; without, there is none, and `fc` is to be `nn.Identity()`.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import get_model

from whole_in_parts.export.exported import Exported
from whole_in_parts.failure import Failure

FILE = "model.pth"
IMAGES = 2


def write(network: Exported, folder: Path, architecture: str) -> None:
    """Write the weights and their description, and check what torchvision's network makes of them.

    Args:
        architecture: the name of the network in torchvision.

    Raises:
        Failure: the weights do not fit torchvision's network, or its outputs differ.
    """
    tensors = {name: tensor.contiguous() for name, tensor in network.backbone.stored.state_dict().items()}
    if network.classifier:
        tensors |= {f"fc.{name}": tensor for name, tensor in network.classifier.state_dict().items()}
    torch.save(tensors, folder / FILE)
    description = {"format": "torchvision", "architecture": architecture, "file": FILE}
    network.describe(folder, description, normalises=False)

    images_BCHW = network.examples(IMAGES)
    normalised_BCHW = (images_BCHW - network.backbone.mean) / network.backbone.std
    with torch.inference_mode():
        found_BK = loaded(folder / FILE, architecture)(normalised_BCHW)
    network.check(found_BK, images_BCHW, f"torchvision's {architecture}")


def loaded(file: Path, architecture: str) -> nn.Module:
    """Build torchvision's network, in evaluation mode, with the weights of a file and as many classes.

    Raises:
        Failure: the weights do not fit.
    """
    tensors: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    with torch.device("meta"):
        network = get_model(architecture, weights=None, num_classes=len(tensors.get("fc.bias", ())) or 1)
    if "fc.bias" not in tensors:
        network.fc = nn.Identity()
    try:
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise Failure(f"the weights do not fit torchvision's {architecture} ({error})") from error
    return network.eval()
