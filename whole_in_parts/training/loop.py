"""The training loop: any method, on the device that is there, from its last checkpoint if it has one."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from whole_in_parts.async_copy import copy_async
from whole_in_parts.augment.randomness import hashes
from whole_in_parts.augment.views import Batch, Crop, make_batch
from whole_in_parts.checkpoints import Checkpoints
from whole_in_parts.data import sample_order
from whole_in_parts.data.shards import Images
from whole_in_parts.data.variable_size import AHEAD, VariableSizeImages
from whole_in_parts.distributed.collectives import all_reduce_mean, local_shard
from whole_in_parts.distributed.environment import is_rank_zero
from whole_in_parts.distributed.group import any_process, assert_same_config
from whole_in_parts.distributed.replica import replicate
from whole_in_parts.malloc import keep_freed_memory
from whole_in_parts.methods.base import Losses, Method
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.progress import progress
from whole_in_parts.schedules import Clock
from whole_in_parts.training import optimizers
from whole_in_parts.training.interruption import Interrupted, Interruption
from whole_in_parts.training.nonfinite_guard import NonFiniteGuard
from whole_in_parts.training.online import Online
from whole_in_parts.training.optimizers import Rates

ROWS = 100
"""How many rows a history has, about, beside those of the online evaluation."""


@dataclass
class Training:
    """What a training has to show: rows of its history, and the seconds that its steps took in all its sittings.

    Neither the online evaluation nor the writing of checkpoints is part of the seconds.
    """

    steps: int
    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)

    def logs(self) -> bool:
        """Whether the step that was taken last is to be a row of the history."""
        return (self.step - 1) % max(1, self.steps // ROWS) == 0 or self.step == self.steps


class TrainState(NamedTuple):
    """What a training changes, and a checkpoint holds."""

    method: Method
    optimizer: Optimizer
    online: Online

    def state(self) -> dict[str, dict]:
        return {name: part.state_dict() for name, part in self._asdict().items()}

    def restore(self, state: dict[str, dict]) -> None:
        for name, part in self._asdict().items():
            part.load_state_dict(state[name])


def train(
    method: Method, images: Images, online: Online, run, checkpoints: Checkpoints, device: torch.device
) -> Training:
    """Train a method in place as the run says, together with the other processes if there are any.

    Raises:
        Failure: a loss or a weight is no longer finite.
        Interrupted: the process was told to stop; what it did is in a checkpoint.
    """
    keep_freed_memory()
    per_epoch = sample_order.steps_per_epoch(len(images), run.batch_size)
    training, guard = Training(run.epochs * per_epoch), NonFiniteGuard(device)
    model = replicate(to_device(device, method).train(), device)
    parts = TrainState(method, optimizers.build_optimizer(run.optimizer, method), online)
    if state := checkpoints.load():
        parts.restore(state)
        training = Training(**state["training"])
    assert_same_config(checkpoints.configuration | {"the step to go on from": str(training.step)})
    labels, crops = torch.from_numpy(images.shards.labels).to(device), method.crops(run.views, run.image_size)
    steps = range(training.step, training.steps)
    bar = progress(steps, "train", unit="step", initial=training.step, total=training.steps)
    with Interruption() as interruption:
        for step in bar:
            started = time.monotonic()
            rates = optimizers.rates(run, step, per_epoch)
            clock = Clock(step, training.steps, per_epoch, rates.learning_rate)
            losses = train_step(parts, model, iter_batches(images, labels, crops, run, step), clock, rates, run)
            guard.record(step, losses)
            training.step = step + 1
            evaluates, stops = online.due(clock._replace(step=step + 1)), any_process(interruption.requested)
            logs, saves = training.logs() or evaluates, is_rank_zero() and (stops or checkpoints.due())
            if logs or saves:
                guard.raise_if_nonfinite(method)
            if logs:
                training.history.append(history_row(clock, losses))
                bar.set_postfix(loss=f"{training.history[-1]['loss']:.3f}", refresh=False)
            training.seconds += time.monotonic() - started
            if evaluates:
                training.history[-1] |= online.evaluate(method)
            if saves:
                checkpoints.save(parts.state() | {"training": asdict(training)})
            if stops:
                raise Interrupted(f"told to stop after step {training.step} of {training.steps}, to go on from there")
    return training


def to_device(device: torch.device, method: Method) -> Method:
    """The method on a device; with `COMPILE=1` in the environment, the layers of its backbones are compiled."""
    if os.environ.get("COMPILE") == "1":
        for backbone in [module for module in method.modules() if isinstance(module, Backbone)]:
            for layer in backbone.children():
                layer.compile()
    return method.to(device)


def iter_batches(images: Images, labels: Tensor, crops: Sequence[Crop], run, step: int) -> Iterator[Batch]:
    """This process's part of the batch of a step, in as many pieces as gradients are accumulated over."""

    def pieces(step: int) -> list[NDArray[np.int64]]:
        numbers = sample_order.batch(step, len(images), run.batch_size, run.seed)
        return [local_shard(piece) for piece in np.split(numbers, run.accumulate)]

    if isinstance(images, VariableSizeImages) and not any(crop.uniform for crop in crops):
        last = run.epochs * sample_order.steps_per_epoch(len(images), run.batch_size)
        yield from images.batches(labels, crops, pieces, run.seed, range(step, min(step + 1 + AHEAD, last)))
        return
    for own in pieces(step):
        labels_B = labels[copy_async(torch.from_numpy(own), labels.device)]
        yield make_batch(copy_async(images[own], labels.device), labels_B, crops, own, run.seed, step)


def train_step(
    parts: TrainState, model: nn.Module, batches: Iterable[Batch], clock: Clock, rates: Rates, run
) -> Losses:
    """One step of the method, and one of what learns beside it; what either draws is a function of the step."""
    torch.manual_seed(int(hashes(np.array([clock.step]), run.seed, "torch")[0]))
    optimizers.set_rates(parts.optimizer, rates)
    parts.method.prepare(clock)
    parts.optimizer.zero_grad(set_to_none=True)
    pieces = [forward_backward(batch, parts, model, number, run) for number, batch in enumerate(batches, 1)]
    if run.optimizer.clip_norm:
        optimizers.clip_gradients(parts.method, run.optimizer.clip_norm)
    parts.optimizer.step()
    parts.method.update(clock._replace(step=clock.step + 1))
    parts.online.learn(clock)
    return {name: torch.stack([losses[name] for losses in pieces]).sum() for name in pieces[0]}


def forward_backward(batch: Batch, parts: TrainState, model: nn.Module, number: int, run) -> Losses:
    """Add the gradient of one piece of a batch; with the last, processes average what they have."""
    alone = isinstance(model, DistributedDataParallel) and number < run.accumulate
    with model.no_sync() if alone else nullcontext():  # type: ignore[operator]
        with (
            parts.online.hear(parts.method.backbone, batch.labels_B),
            torch.autocast(batch.labels_B.device.type, torch.bfloat16, enabled=run.precision == "bfloat16"),
        ):
            losses = {name: loss / run.accumulate for name, loss in model(batch).items()}
        parts.method.backward(losses)
    return {name: loss.detach() for name, loss in losses.items()}


def history_row(clock: Clock, losses: Losses) -> dict[str, float]:
    """A row of the history: the losses as numbers, with their sum."""
    numbers = {name: float(all_reduce_mean(loss)) for name, loss in losses.items()}
    when = {"step": clock.step, "epoch": clock.epoch, "learning_rate": clock.learning_rate}
    return when | {"loss": sum(numbers.values())} | numbers
