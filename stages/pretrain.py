"""Pretrain the backbone of a run: `results/pretrain/<run>/`.

Writes the model with its card (`model/`), other weights of the method (`method.safetensors`), `history.csv` (losses,
learning rate and the metrics of the online evaluation) and `metrics.json`. During the training, `history.csv` and an
event file of TensorBoard grow in `scratch/pretrain/<run>/`. A training that was killed resumes from its last
checkpoint, as long as options, data and code are the same.
"""

from pathlib import Path

import torch

from whole_in_parts.checkpoints import Checkpoints
from whole_in_parts.config.runs import Run
from whole_in_parts.config.study import Study
from whole_in_parts.config.transform import ImageTransform
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.data.variable_size import squashed_images, training_images
from whole_in_parts.distributed.collectives import world_size
from whole_in_parts.distributed.environment import default_device
from whole_in_parts.failure import Failure
from whole_in_parts.metrics import write_metrics
from whole_in_parts.models import backbone_cost, saved_backbone
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.model_card import model_card
from whole_in_parts.models.receptive_field import receptive_field
from whole_in_parts.results import result_dir, scratch_dir
from whole_in_parts.training import method_weights
from whole_in_parts.training.building import build
from whole_in_parts.training.history import write_history
from whole_in_parts.training.loop import Training, train
from whole_in_parts.training.online import MEASURED, OnlineEvaluation
from whole_in_parts.training.peak_memory import peak_memory_mb
from workflow import launch
from workflow.provenance.start import check_start
from workflow.provenance.training import configuration


def pretrain(study: Study, run: str, directory: Path) -> None:
    device = default_device()
    options = study.runs[run]
    check_start(options.start, run)
    train_and_write(options, run, study.datasets[options.dataset].test_transform, device, directory)


def train_and_write(options: Run, run: str, transform: ImageTransform, device: torch.device, directory: Path) -> None:
    """Train, together with the other processes of the group if there are any, and write the result."""
    check_batch_size(options, run)
    shards = result_dir("shard", options.dataset)
    size = options.image_size
    channels = options.backbone.channels
    bank = training_images(Shards(shards / "train"), size, channels, transform, device)
    images = bank
    if options.split != "train":
        images = training_images(Shards(shards / options.split), size, channels, transform, device)
    if side := options.method.squashed_side():
        images = squashed_images(images.shards, side, channels, device)
    test = Images(Shards(shards / "test"), size, channels, transform, device)
    start = result_dir("pretrain", options.start) / "model" if options.start else None
    method = build(options, len(images.shards.classes), start)
    method.load_released()

    training = Training(steps=0)
    if options.epochs:
        checkpoints = Checkpoints(scratch_dir("pretrain", run), configuration(options, transform, run, shards, start))
        online = OnlineEvaluation(options, method.backbone, bank, test, device)
        training = train(method, images, online, options, checkpoints, device)

    saved_backbone.save(method.backbone, options.backbone, size, directory / "model")
    method_weights.save(method, directory)
    metrics = training_metrics(method.backbone, training, options)
    metrics["peak_memory_mb"] = round(peak_memory_mb(device), 1)
    write_metrics(directory, metrics)
    write_history(training.history, directory / "history.csv")
    card = model_card(run, options, metrics)
    (directory / "model/README.md").write_text(card, encoding="utf-8")


def check_batch_size(options: Run, run: str) -> None:
    """Check that a batch divides into equal parts for all processes.

    Raises:
        Failure: it does not.
    """
    if options.batch_size % (world_size() * options.accumulate):
        raise Failure(
            f"runs.{run}.batch_size: {options.batch_size} images cannot be shared by {world_size()} processes"
            + (f" in {options.accumulate} pieces each" if options.accumulate > 1 else "")
        )


def training_metrics(backbone: Backbone, training: Training, options: Run) -> dict[str, float | None]:
    """The metrics of a pretraining that the report shows; `seconds` are those of its steps alone."""
    size, stride = receptive_field(backbone) or (None, None)
    images = training.steps * options.batch_size
    last_row = training.history[-1] if training.history else {}
    return {
        "steps": training.steps,
        "epochs": options.epochs,
        "seconds": round(training.seconds, 1),
        "images_per_second": round(images / training.seconds, 1) if images else 0.0,
        "loss": last_row.get("loss"),
        **{name: last_row[name] for name in MEASURED if name in last_row},
        "parameters": backbone_cost.parameters(backbone),
        "multiply_adds": backbone_cost.multiply_adds(backbone, options.image_size),
        "receptive_field": size,
        "stride": stride,
        "map_size": backbone.map_sizes(options.image_size)[-1],
    }


if __name__ == "__main__":
    launch.run(pretrain)
