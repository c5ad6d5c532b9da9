"""A program for torchrun: run stages in a folder, in double precision, and kill rank zero after so many checkpoints."""

import importlib
import os
import signal
import sys

import torch

from whole_in_parts.checkpoints import Checkpoints
from whole_in_parts.config.study import load_study
from whole_in_parts.distributed.collectives import gather_objects
from whole_in_parts.distributed.environment import is_rank_zero
from whole_in_parts.distributed.group import group
from whole_in_parts.results import atomic_output_dir, discarded_output_dir
from workflow.provenance.options import read_by


def main(folder: str, checkpoints: str, *stages: str) -> None:
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign]
    os.chdir(folder)
    if int(checkpoints):
        kill_after(int(checkpoints))
    with group(torch.device("cpu")):
        for stage in stages:
            run(*stage.split("@"))
            gather_objects(None)  # the next stage reads what rank zero has written


def run(kind: str, key: str) -> None:
    stage = getattr(importlib.import_module(f"stages.{kind}"), kind)
    with atomic_output_dir(kind, key) if is_rank_zero() else discarded_output_dir() as directory:
        stage(read_by(load_study(), kind, key), key, directory)


def kill_after(count: int) -> None:
    """Kill this process when it has written so many checkpoints, one after each step."""
    saved, save = [], Checkpoints.save

    def counted(self: Checkpoints, state: dict) -> None:
        save(self, state)
        saved.append(state)
        if len(saved) == count:
            os.kill(os.getpid(), signal.SIGKILL)

    Checkpoints.due = lambda self: True  # type: ignore[method-assign]
    Checkpoints.save = counted  # type: ignore[method-assign]


if __name__ == "__main__":
    main(*sys.argv[1:])
