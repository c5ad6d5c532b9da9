"""Fine-tuning: train a copy of the backbone with a linear layer on its global representation.

Training images are random crops, flipped horizontally half of the time. `top1` is the accuracy on the test images,
without augmentation, in per cent. The stored weights of the pretraining stay unchanged.
"""

import copy

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from whole_in_parts.augment.randomness import hashes
from whole_in_parts.config.tasks.finetune import FinetuneConfig
from whole_in_parts.data import sample_order
from whole_in_parts.distributed.environment import is_rank_zero
from whole_in_parts.distributed.replica import replicate
from whole_in_parts.evaluation.features import iter_rows
from whole_in_parts.evaluation.linear_probe import label_fraction_indices, top1
from whole_in_parts.evaluation.random_crops import random_crops
from whole_in_parts.evaluation.task import (
    TaskContext,
    check_batch_size,
    checkpoints,
    decode_all,
    resume,
    shared_class_names,
)
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.progress import progress
from whole_in_parts.schedules import Schedule

MOMENTUM = 0.9


class FinetunedClassifier(nn.Module):
    """Maps images (B, C, S, S) in [0, 1] to logits (B, classes) by a trainable copy of a backbone."""

    def __init__(self, backbone: Backbone, classes: int) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(backbone).requires_grad_(True)
        self.layer = nn.Linear(backbone.features, classes)
        nn.init.zeros_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        return self.layer(self.backbone(images_BCHW).global_BD)


def evaluate(context: TaskContext, options: FinetuneConfig) -> dict[str, float]:
    # A broken test image should fail the task before the training.
    decode_all(context.test)
    model = finetune(context, options).eval()

    @torch.no_grad()
    def logits(_: NDArray[np.int64], images_BCHW: Tensor) -> Tensor:
        return model(images_BCHW)

    rows = iter_rows(logits, context.test, np.arange(len(context.test)), context.device, "test")
    return {"top1": top1(torch.cat(list(rows)), torch.from_numpy(context.test.shards.labels))}


def finetune(context: TaskContext, options: FinetuneConfig) -> FinetunedClassifier:
    """Fine-tune a copy of the backbone; deterministic for the same backbone, images and options.

    Several processes share each batch. A fine-tuning that was killed resumes from its checkpoint.

    Raises:
        Failure: a class has no image in the percentage of labels, the processes cannot share a batch equally, or a
            weight is not finite after the training.
    """
    check_batch_size(options.batch_size)
    model = FinetunedClassifier(context.backbone, len(shared_class_names(context))).to(context.device).train()
    replica = replicate(model, context.device)
    optimizer = torch.optim.SGD(model.parameters(), momentum=MOMENTUM, weight_decay=options.weight_decay)

    indices_N = label_fraction_indices(context.train.shards.labels, options.labels, "task")
    steps_per_epoch = sample_order.steps_per_epoch(len(indices_N), options.batch_size)
    steps = options.epochs * steps_per_epoch
    schedule = Schedule(steps, options.warmup_epochs * steps_per_epoch, options.learning_rate)
    saved = checkpoints(context, options)
    first = resume(saved, model, optimizer)

    crops = random_crops(
        context.train, indices_N, options.batch_size, options.seed, range(first, steps), context.device
    )
    bar = progress(crops, "finetune", unit="step", initial=first, total=steps)
    for step, (images_BCHW, labels_B) in enumerate(bar, first):
        # Dropout and dropped paths draw from torch's generator.
        torch.manual_seed(int(hashes(np.array([step]), options.seed, "torch")[0]))
        optimizer.param_groups[0]["lr"] = schedule.learning_rate(step)
        optimizer.zero_grad()
        F.cross_entropy(replica(images_BCHW), labels_B).backward()
        optimizer.step()
        if is_rank_zero() and saved.due():
            saved.save({"step": step + 1, "model": model.state_dict(), "optimizer": optimizer.state_dict()})

    if not all(tensor.isfinite().all() for tensor in model.state_dict().values()):
        raise Failure(f"task.learning_rate: at {options.learning_rate} the weights are not finite; lower it")
    return model
