"""Weights that torchvision publishes, under torchvision's names, which those of this project's ResNets are."""

from torchvision.models import get_weight

from whole_in_parts.config.origins.torchvision import TorchvisionConfig
from whole_in_parts.failure import Failure
from whole_in_parts.models import weight_file
from whole_in_parts.models.origin import FOLDER, Released

CLASSIFIERS = ("fc.", "classifier.", "heads.", "head.")


def read(options: TorchvisionConfig) -> Released:
    """Take the file of `weights/`, or download it there, and check it by the digits in its name.

    Raises:
        Failure: torchvision has no such weights, they cannot be downloaded, or the file is damaged.
    """
    try:
        weights = get_weight(options.weights)
    except (KeyError, ValueError, AttributeError) as error:
        raise Failure(f"origin.weights: torchvision has no {options.weights} ({error})") from error

    file = FOLDER / weights.url.rpartition("/")[2]
    if not file.exists():
        weight_file.download(weights.url, file)
    weight_file.check_sha256(file, file.stem.rpartition("-")[2])

    tensors = weight_file.read(file)
    network = {name: tensor for name, tensor in tensors.items() if not name.startswith(CLASSIFIERS)}
    transform = weights.transforms()
    return Released(network, {}, transform.mean, transform.std)
