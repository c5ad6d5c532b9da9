"""The cost of a training step: FLOPs, and bytes kept for the backward pass.

Both follow from shapes: `fake_` makes a method compute shapes alone, so that a step of a large network takes seconds.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode


def flops(step: Callable[[], object]) -> int:
    """The FLOPs of convolutions, matrix products and attention in a step, forward and backward."""
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def saved_bytes(step: Callable[[], object]) -> int:
    """The bytes of the tensors that a step saves for its backward pass, each storage once."""
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage._cdata] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        step()
    return sum(sizes.values())


def fake_(module: nn.Module) -> FakeTensorMode:
    """Replace parameters and buffers by fakes, which have shapes and no values; return the mode that computes them."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    for part in module.modules():
        stores: list[dict[str, Any]] = [part._parameters, part._buffers]
        for tensors in stores:
            tensors |= {name: mode.from_tensor(tensor) for name, tensor in tensors.items() if tensor is not None}
    return mode
