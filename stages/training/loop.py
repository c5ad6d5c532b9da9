"""The training loop: any method, on the device that is there, from its last checkpoint if it has one."""

import time
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.images import order
from stages.images.memory import keep_freed_memory
from stages.images.shards import Images
from stages.images.views import make_views
from stages.methods import Losses, Method
from stages.program import Failure, progress
from stages.training import optimizers
from stages.training.checkpoints import Checkpoints

ROWS = 100
"""How many rows a history has, about."""


@dataclass
class Training:
    """What a training has to show: rows of its history, and the seconds that it took in all its sittings."""

    steps: int
    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


def train(method: Method, images: Images, run, checkpoints: Checkpoints, device: torch.device) -> Training:
    """Train a method in place as the run says.

    Raises:
        Failure: the loss is no longer finite.
    """
    keep_freed_memory()
    per_epoch = order.steps_per_epoch(len(images), run.batch_size)
    training = Training(run.epochs * per_epoch)
    method.to(device).train()
    optimizer = optimizers.build(run.optimizer, method)
    if state := checkpoints.load():
        method.load_state_dict(state["method"])
        optimizer.load_state_dict(state["optimizer"])
        training = Training(**state["training"])
    labels = torch.from_numpy(images.shards.labels).to(device)
    warmup, peak = run.optimizer.warmup_epochs * per_epoch, run.optimizer.learning_rate * run.batch_size / 256
    steps = range(training.step, training.steps)
    bar = progress(steps, "train", unit="step", initial=training.step, total=training.steps)
    for step in bar:
        started = time.monotonic()
        rate = optimizers.learning_rate(step, training.steps, warmup, peak)
        optimizers.set_learning_rate(optimizer, rate)
        numbers = order.batch(step, len(images), run.batch_size, run.seed)
        losses = method(views(images, numbers, method, run, step, device), labels[torch.from_numpy(numbers).to(device)])
        take(optimizer, losses)
        method.update((step + 1) / training.steps)
        training.step, training.seconds = step + 1, training.seconds + time.monotonic() - started
        if step % max(1, training.steps // ROWS) == 0 or training.step == training.steps:
            training.history.append({"step": step, "epoch": step / per_epoch, "learning_rate": rate} | values(losses))
            bar.set_postfix(loss=f"{training.history[-1]['loss']:.3f}", refresh=False)
        if checkpoints.due():
            checkpoints.save(
                {"method": method.state_dict(), "optimizer": optimizer.state_dict(), "training": asdict(training)}
            )
    return training


def views(
    images: Images, numbers: NDArray[np.int64], method: Method, run, step: int, device: torch.device
) -> list[Tensor]:
    """The views (B, C, S, S) of a batch that the method asks for."""
    recipes = run.views[: method.views]
    return make_views(images[numbers].to(device), recipes, run.image_size, numbers, run.seed, step)


def take(optimizer: torch.optim.Optimizer, losses: Losses) -> None:
    """One step down the sum of the losses."""
    optimizer.zero_grad(set_to_none=True)
    torch.stack(list(losses.values())).sum().backward()
    optimizer.step()


def values(losses: Losses) -> dict[str, float]:
    """The losses as numbers, with their sum.

    Raises:
        Failure: one of them is not finite.
    """
    numbers = {name: float(loss.detach()) for name, loss in losses.items()}
    if not np.isfinite(list(numbers.values())).all():
        raise Failure(f"the loss is not finite ({numbers}); try a lower optimizer.learning_rate or a longer warm-up")
    return {"loss": sum(numbers.values())} | numbers
