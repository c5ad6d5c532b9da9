"""The weights of a method beside the backbone that is kept: projectors, predictors, target network, affinity.

`method.safetensors` has every tensor once, under its name in the method. Queues are left out: they hold embeddings of
the last batches, which only a training can use.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from whole_in_parts.failure import UNFIT, Failure
from whole_in_parts.methods.base import Method
from whole_in_parts.models import saved_backbone
from whole_in_parts.models.queue import Queue

FILE = "method.safetensors"


def save(method: Method, folder: Path) -> None:
    """Write the weights of a method beside the folder of its backbone."""
    save_file({name: tensor.contiguous().cpu() for name, tensor in learned(method).items()}, folder / FILE)


def load(method: Method, folder: Path, device: torch.device) -> Method:
    """Load the weights of `save` and the backbone in `model/` into a newly built method, in evaluation mode and without
    gradients.

    Raises:
        Failure: a file is missing or damaged, or the weights do not fit the method.
    """
    backbone, _ = saved_backbone.load(folder / "model", torch.device("cpu"))
    try:
        weights = load_file(folder / FILE)
        if differing := sorted(weights.keys() ^ learned(method).keys()):
            raise ValueError(f"the run's method has other parts: {', '.join(differing[:3])}")
        method.backbone.stored.load_state_dict(backbone.stored.state_dict())
        method.load_state_dict(weights, strict=False)
    except (OSError, SafetensorError, *UNFIT) as error:
        raise Failure(f"{folder / FILE}: no method that can be loaded ({error})") from error
    return method.to(device).eval().requires_grad_(False)


def learned(method: Method) -> dict[str, Tensor]:
    """The state of a method without backbone and queues; tensors that modules share are there once."""
    out = tuple(
        f"{name}."
        for name, module in method.named_modules()
        if module is method.backbone.stored or isinstance(module, Queue)
    )
    once = {name for names in (method.named_parameters(), method.named_buffers()) for name, _ in names}
    state = {name: tensor for name, tensor in method.state_dict().items() if name in once}
    return {name: tensor for name, tensor in state.items() if not name.startswith(out)}
