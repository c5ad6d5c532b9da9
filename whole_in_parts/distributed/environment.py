"""What torchrun's environment variables say of this process; torch is imported only where it is needed."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def is_rank_zero() -> bool:
    """Whether this is rank zero, which writes the result; also true of a process that is alone."""
    return os.environ.get("RANK", "0") == "0"


def default_device() -> "torch.device":
    """The GPU of this process (`LOCAL_RANK`) where there is one, else the CPU."""
    import torch

    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
