"""Load a network with little more memory than its file takes: nothing is written to it before its weights.

Built as usual, a network holds random weights beside those that are read, and a mapped file stays in memory as far as
it was read.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

IN_PLACE = ("normal_", "uniform_", "erfinv_", "zero_", "fill_", "copy_", "add_", "sub_", "mul_", "div_", "clamp_")
INITIALISING = {getattr(Tensor, name) for name in IN_PLACE}
INITIALISING |= {function for name, function in vars(nn.init).items() if re.fullmatch(r"[a-z]\w*_", name)}
"""What constructors initialise parameters with: operations in place, and functions of `torch.nn.init`."""

SHOWN = 3
PIECE = 8 << 20
"""Bytes that are read at a time; as long as a file is mapped, what was read of it counts as memory."""


class Uninitialised(TorchFunctionMode):
    """Leave the parameters of networks that are built in this context uninitialised.

    The system gives a parameter its memory when something is first written to it. Buffers are computed as always, since
    a file lacks those that are not stored. Nothing is drawn for parameters from torch's generator.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        target = args[0] if args else kwargs.get("tensor")
        if func in INITIALISING and isinstance(target, nn.Parameter):
            return target
        return func(*args, **kwargs)


@torch.no_grad()
def load_file_into(network: nn.Module, file: Path) -> None:
    """Load a safetensors file into a network that has the same tensors, piece by piece.

    Raises:
        OSError, SafetensorError: the file is missing or damaged.
        ValueError: its tensors have other names or shapes than those of the network, and none was loaded.
    """
    state = network.state_dict()
    with safe_open(file, framework="pt") as content:
        found = {name: tuple(content.get_slice(name).get_shape()) for name in content.keys()}  # noqa: SIM118
    expected = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if differing := [name for name in expected | found if expected.get(name) != found.get(name)]:
        raise ValueError(f"{len(differing)} tensors are not those of the network: {', '.join(differing[:SHOWN])}")

    for name, tensor in state.items():
        _load_into(tensor, file, name)


def _load_into(tensor: Tensor, file: Path, name: str) -> None:
    """Copy a tensor out of a file, which is mapped anew for each piece."""
    if not tensor.dim():
        with safe_open(file, framework="pt") as content:
            tensor.copy_(content.get_tensor(name))
        return

    rows = max(1, PIECE * len(tensor) // max(1, tensor.nbytes))
    for start in range(0, len(tensor), rows):
        with safe_open(file, framework="pt") as content:
            tensor[start : start + rows] = content.get_slice(name)[start : start + rows]
