"""Read this process's rank and device from torchrun's environment variables; torch is imported only where needed."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def is_rank_zero() -> bool:
    """Return whether this process is rank zero, which writes the result; a single process is rank zero, too."""
    return os.environ.get("RANK", "0") == "0"


def default_device() -> "torch.device":
    """Return the GPU of this process (`LOCAL_RANK`) if the machine has GPUs, else the CPU.

    Convolutions in float32 are then float32 on a GPU, too; by default torch rounds their operands to TF32 (10 bits).
    """
    import torch

    if not torch.cuda.is_available():
        return torch.device("cpu")
    torch.backends.cudnn.allow_tf32 = False
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
