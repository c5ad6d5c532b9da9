"""An accelerator that is only pretended, so that what a program asks of one can be seen where there is none.

Tensors of the CPU pass for those of a GPU. It is noted where the program would have to wait until the GPU has done what
it was told (a plain copy, a look at a value), and where tensors of both would meet, which is an error on a real one.
What torch does in C++, such as a backward pass, is not seen.
"""

import traceback
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

LIBRARY = "/whole_in_parts/"
GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
LOOKS = {"__bool__", "__float__", "__int__", "__index__", "bincount", "equal", "item", "masked_select"}
LOOKS |= {"nonzero", "repeat_interleave", "tolist", "unique", "unique_consecutive"}
INDEXES = {"__getitem__", "__setitem__"}
DRAWS = {"bernoulli", "bernoulli_", "dropout", "multinomial", "normal_", "rand", "rand_like", "randint", "randint_like"}
DRAWS |= {"randn", "randn_like", "randperm", "random_", "uniform_"}


def put(*tensors: Tensor) -> None:
    """Let tensors pass for the GPU's."""
    for tensor in tensors:
        tensor.on_gpu = True  # type: ignore[attr-defined]


def lies_there(x: Any) -> bool:
    return getattr(x, "on_gpu", False)


class Accelerator(TorchFunctionMode):
    """What happens within it is as on a GPU; `waits`, `meetings` and `draws` (of random numbers) say where."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.meetings: list[str] = []
        self.draws: list[str] = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs, name = dict(kwargs or {}), function.__name__
        if function == torch.Tensor.device.__get__:
            return GPU if lies_there(args[0]) else CPU
        if name == "pin_memory":
            return args[0]
        if name == "cpu":
            return self.copy(args[0], CPU)
        if name == "to" and (target := next((each for each in args if isinstance(each, torch.device)), None)):
            return self.copy(args[0], target, **kwargs)
        self.note_draw(name, args, kwargs)
        if kwargs.get("device") is not None:
            return self.create(function, args, kwargs)
        self.look(name, [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)])
        return self.lay(function(*args, **kwargs), any(map(lies_there, tree_leaves((args, kwargs)))))

    def copy(self, x: Tensor, target: torch.device, non_blocking: bool = False) -> Tensor:
        there = target.type == GPU.type
        if there == lies_there(x):
            return x
        if not (there and non_blocking):
            self.waits.append(f"a copy {place()}")
        return self.lay(x.clone(), there)

    def note_draw(self, name: str, args, kwargs) -> None:
        """Note random numbers that the GPU's own generator would draw."""
        there = any(map(lies_there, tree_leaves(args))) or torch.device(kwargs.get("device") or CPU).type == GPU.type
        if name in DRAWS and there:
            self.draws.append(f"{name} {place()}")

    def create(self, function, args, kwargs) -> Tensor:
        """A new tensor; what is made of numbers of the CPU is copied."""
        there = torch.device(kwargs.pop("device")).type == GPU.type
        if there and function in (torch.tensor, torch.as_tensor):
            self.waits.append(f"a copy {place()}")
        return self.lay(function(*args, **kwargs), there)

    def look(self, name: str, tensors: list[Tensor]) -> None:
        """Note what becomes known of the values, and which tensors meet."""
        there = [x for x in tensors if lies_there(x)]
        masks = name in INDEXES and any(x.dtype == torch.bool for x in tensors[1:])
        if there and (name in LOOKS or masks):
            self.waits.append(f"{name} {place()}")
        if there and (name == "numpy" or any(x.ndim and not lies_there(x) for x in tensors)) and name != "__set__":
            self.meetings.append(f"{name} {place()}")

    def lay(self, found: Any, there: bool) -> Any:
        """What was found, on the GPU if it was found there."""
        return tree_map_only(Tensor, lambda x: put(x) or x, found) if there else found


def place() -> str:
    """Which line of the stages has just been run."""
    calls = [call for call in traceback.extract_stack() if LIBRARY in call.filename and "/tests/" not in call.filename]
    return f"in {calls[-1].filename.rpartition(LIBRARY)[2]}: {calls[-1].line}" if calls else "elsewhere"
