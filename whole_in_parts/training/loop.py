"""The training loop: any method, on the available device, resumed from its last checkpoint.

With several processes, every process runs this loop on its part of each batch. Functions marked "collective" must be
called by all processes in the same step.
"""

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

from whole_in_parts.augment.randomness import hashes
from whole_in_parts.augment.views import Batch, Crop
from whole_in_parts.checkpoints import Checkpoints
from whole_in_parts.config.runs import Run
from whole_in_parts.data import sample_order
from whole_in_parts.data.shards import Images
from whole_in_parts.distributed.collectives import all_reduce_mean, local_shard
from whole_in_parts.distributed.environment import is_rank_zero
from whole_in_parts.distributed.group import any_process, assert_same_config
from whole_in_parts.distributed.replica import replicate
from whole_in_parts.malloc import keep_freed_memory
from whole_in_parts.methods.base import Losses, Method
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.precision import autocast
from whole_in_parts.progress import progress
from whole_in_parts.schedules import Clock
from whole_in_parts.training import optimizers
from whole_in_parts.training.history import LiveHistory
from whole_in_parts.training.interruption import Interrupted, Interruption
from whole_in_parts.training.nonfinite_guard import NonFiniteGuard
from whole_in_parts.training.online import OnlineEvaluation
from whole_in_parts.training.optimizers import Rates

ROWS = 100
"""The approximate number of rows of a history, without those of the online evaluation."""


@dataclass
class Training:
    """The progress of a training: its history, and the seconds of its steps, summed over restarts.

    The seconds include neither the online evaluation nor the writing of checkpoints.
    """

    steps: int
    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)

    def logs(self) -> bool:
        """Whether the last step becomes a row of the history."""
        return (self.step - 1) % max(1, self.steps // ROWS) == 0 or self.step == self.steps


class TrainState(NamedTuple):
    """The state that a training changes and a checkpoint holds."""

    method: Method
    optimizer: Optimizer
    online: OnlineEvaluation

    def state_dict(self) -> dict[str, dict]:
        return {name: part.state_dict() for name, part in self._asdict().items()}

    def load_state_dict(self, state: dict[str, dict]) -> None:
        for name, part in self._asdict().items():
            part.load_state_dict(state[name])


def train(
    method: Method, images: Images, online: OnlineEvaluation, run: Run, checkpoints: Checkpoints, device: torch.device
) -> Training:
    """Train a method in place, together with the other processes if there are any.

    Raises:
        Failure: a loss or a weight is not finite.
        Interrupted: the process received a signal to stop; its progress is in a checkpoint.
    """
    keep_freed_memory()
    steps_per_epoch = sample_order.steps_per_epoch(len(images), run.batch_size)
    training = Training(run.epochs * steps_per_epoch)
    guard = NonFiniteGuard(device)
    model = replicate(to_device(device, method).train(), device)
    state = TrainState(method, optimizers.build_optimizer(run.optimizer, method), online)

    training = resume(training, state, checkpoints)  # collective

    labels_N = torch.from_numpy(images.shards.labels).to(device)
    crops = method.crops(run.views, run.image_size)
    steps = range(training.step, training.steps)
    bar = progress(steps, "train", unit="step", initial=training.step, total=training.steps)
    with Interruption() as interruption, LiveHistory(checkpoints.folder) as live:
        for step in bar:
            started = time.monotonic()
            rates = optimizers.scheduled_rates(run, step, steps_per_epoch)
            clock = Clock(step, training.steps, steps_per_epoch, rates.learning_rate)
            batches = iter_batches(images, labels_N, crops, run, step)
            losses = train_step(state, model, batches, clock, rates, run)  # collective
            guard.record(step, losses)
            training.step = step + 1

            # Whether to evaluate, log and stop is the same in all processes; rank zero alone saves.
            done = clock._replace(step=step + 1)
            evaluates = online.due(done)
            logs = training.logs() or evaluates
            stops = any_process(interruption.requested)  # collective
            saves = is_rank_zero() and (stops or checkpoints.due())

            # Nothing that is not finite may leave the loop.
            if logs or saves:
                guard.raise_if_nonfinite(method)
            if logs:
                training.history.append(history_row(clock, losses))  # collective
                bar.set_postfix(loss=f"{training.history[-1]['loss']:.3f}", refresh=False)
            training.seconds += time.monotonic() - started

            if evaluates:
                training.history[-1] |= online.evaluate(method, done)  # collective
            if logs:
                live.write(training.history)
            if saves:
                checkpoints.save(state.state_dict() | {"training": asdict(training)})
            if stops:
                raise Interrupted(f"told to stop after step {training.step} of {training.steps}, to go on from there")
    return training


def resume(training: Training, state: TrainState, checkpoints: Checkpoints) -> Training:
    """Load the last checkpoint, if there is one, and check that all processes resume from the same step (a collective).

    Raises:
        Failure: the processes differ in options, data, code or step.
    """
    if checkpoint := checkpoints.load():
        with checkpoints.restoring():
            state.load_state_dict(checkpoint)
            training = Training(**checkpoint["training"])
    assert_same_config(checkpoints.configuration | {"the step to go on from": str(training.step)})
    return training


def to_device(device: torch.device, method: Method) -> Method:
    """Move the method to a device; `COMPILE=1` in the environment compiles the layers of its backbones."""
    if os.environ.get("COMPILE") == "1":
        compile_backbones(method)
    return method.to(device)


def compile_backbones(method: Method) -> None:
    """Let torch compile the layers of the backbones of a method when they are first called.

    Torch compiles a block once for each shape of its weights, with and without gradients, and by default at most eight
    times, which is less than a ResNet has.
    """
    torch._dynamo.config.recompile_limit = 256
    for backbone in [module for module in method.modules() if isinstance(module, Backbone)]:
        for layer in backbone.children():
            layer.compile()


def iter_batches(images: Images, labels_N: Tensor, crops: Sequence[Crop], run: Run, step: int) -> Iterator[Batch]:
    """This process's part of the batch of a step, in `run.accumulate` pieces."""
    last = run.epochs * sample_order.steps_per_epoch(len(images), run.batch_size)

    def pieces(step: int) -> list[NDArray[np.int64]]:
        indices = sample_order.batch(step, len(images), run.batch_size, run.seed)
        return [local_shard(piece) for piece in np.split(indices, run.accumulate)]

    return images.batches(labels_N, crops, pieces, run.seed, range(step, last))


def train_step(
    state: TrainState, model: nn.Module, batches: Iterable[Batch], clock: Clock, rates: Rates, run: Run
) -> Losses:
    """Take an optimizer step of the method and of the online probe (a collective).

    torch's random numbers are a function of the seed and the step, so that an interrupted training repeats them.
    """
    torch.manual_seed(int(hashes(np.array([clock.step]), run.seed, "torch")[0]))
    optimizers.set_rates(state.optimizer, rates)
    state.method.prepare(clock)

    state.optimizer.zero_grad(set_to_none=True)
    pieces = [forward_backward(state, model, batch, number, run) for number, batch in enumerate(batches, 1)]
    if run.optimizer.clip_norm:
        optimizers.clip_gradients(state.method, run.optimizer.clip_norm)
    state.optimizer.step()

    state.method.update(clock._replace(step=clock.step + 1))
    state.online.step(clock)
    return {name: torch.stack([losses[name] for losses in pieces]).sum() for name in pieces[0]}


def forward_backward(state: TrainState, model: nn.Module, batch: Batch, number: int, run: Run) -> Losses:
    """Add the gradient of a piece of the batch; with the last piece, processes average their gradients."""
    last = number == run.accumulate
    synchronises = not isinstance(model, DistributedDataParallel) or last
    with nullcontext() if synchronises else model.no_sync():  # type: ignore[operator]
        with autocast(run.precision, batch.labels_B.device):
            output = model(batch)
            losses = {name: loss / run.accumulate for name, loss in output.losses.items()}
        state.online.add_features(output.features, batch.labels_B)
        state.method.backward(losses)
    return {name: loss.detach() for name, loss in losses.items()}


def history_row(clock: Clock, losses: Losses) -> dict[str, float]:
    """A row of the history: step, epoch, learning rate, the terms of the loss and their sum (a collective)."""
    terms = {name: float(all_reduce_mean(loss)) for name, loss in losses.items()}
    columns = {"step": clock.step, "epoch": clock.epoch, "learning_rate": clock.learning_rate}
    return columns | {"loss": sum(terms.values())} | terms
