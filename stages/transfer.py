"""Evaluate a pretrained backbone by a task on another dataset: `results/transfer/<entry>/metrics.json`.

The tasks are the modules of `whole_in_parts/evaluation/tasks/`. Images are transformed to the image
size of the pretraining as the dataset says (`test_transform`), unless the task sets its own.
"""

from pathlib import Path

from whole_in_parts.config.study import Study
from whole_in_parts.data.shards import INDEX, Images, Shards
from whole_in_parts.data.variable_size import training_images
from whole_in_parts.distributed.environment import default_device
from whole_in_parts.evaluation.task import TaskContext, load_task
from whole_in_parts.failure import Failure
from whole_in_parts.metrics import write_metrics
from whole_in_parts.models import saved_backbone
from whole_in_parts.results import result_dir, scratch_dir
from workflow import launch
from workflow.provenance import code
from workflow.provenance.options import implementations


def transfer(study: Study, entry: str, directory: Path) -> None:
    options = study.transfer[entry]
    device = default_device()
    backbone, size = saved_backbone.load(result_dir("pretrain", options.run) / "model", device, options.task.precision)

    channels = study.runs[options.run].backbone.channels
    transform = study.datasets[options.dataset].test_transform
    train = training_images(open_split(options.dataset, "train"), size, channels, transform)
    test = Images(open_split(options.dataset, "test"), size, channels, transform)

    # The digest covers only the code of this task, so that an edit of another task keeps its checkpoints.
    task_code = code.digest("stages.transfer", implementations(study))
    context = TaskContext(backbone, train, test, device, directory, scratch_dir("transfer", entry), task_code)
    write_metrics(directory, load_task(options.task.name).evaluate(context, options.task))


def open_split(dataset: str, split: str) -> Shards:
    """Open a packed split of a dataset.

    Raises:
        Failure: the split is not packed.
    """
    folder = result_dir("shard", dataset) / split
    if not (folder / INDEX).exists():
        raise Failure(f"{folder / INDEX}: not there; make it with: dvc repro shard@{dataset}")
    return Shards(folder)


if __name__ == "__main__":
    launch.run(transfer)
