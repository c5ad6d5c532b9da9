"""Ask a pretrained backbone to do something with another dataset: `results/transfer/<entry>/metrics.json`.

What is asked is a task, one file each in `stages/tasks/`. Images are resized to what the backbone was pretrained at,
unless the task has a size of its own.
"""

from pathlib import Path

from stages import program, tasks
from stages.backbones import saved
from stages.failure import Failure
from stages.images.shards import INDEX, Images, Shards
from stages.metrics import write_metrics
from stages.study import Study


def transfer(study: Study, entry: str, directory: Path) -> None:
    options, device = study.transfer[entry], program.device()
    backbone, size = saved.load(program.result("pretrain", options.run) / "model", device)
    channels = study.runs[options.run].backbone.channels
    train, test = (Images(shards(options.dataset, split), size, channels, "bicubic") for split in ("train", "test"))
    given = tasks.Given(backbone, train, test, device, directory)
    write_metrics(directory, tasks.task(options.task.name).evaluate(given, options.task))


def shards(dataset: str, split: str) -> Shards:
    """A split of a dataset.

    Raises:
        Failure: it is not packed.
    """
    folder = program.result("shard", dataset) / split
    if not (folder / INDEX).exists():
        raise Failure(f"{folder / INDEX}: not there; make it with: dvc repro shard@{dataset}")
    return Shards(folder)


if __name__ == "__main__":
    program.run(transfer)
