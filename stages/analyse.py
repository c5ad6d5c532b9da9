"""Look into a pretraining: `results/analyse/<entry>/metrics.json`, with curves and pictures beside it.

What is looked at is an analysis, one file each in `stages/analyses/`, on a part of the test images of a dataset.
"""

from pathlib import Path

from stages import analyses, program
from stages.failure import Failure
from stages.images.randomness import stratified
from stages.images.shards import Images, Shards
from stages.metrics import write_metrics
from stages.study import Study
from stages.training import learned
from stages.training.building import build


def analyse(study: Study, entry: str, directory: Path) -> None:
    options, device = study.analyse[entry], program.device()
    run, folder = study.runs[options.run], program.result("shard", options.dataset)
    untrained = build(run, study.datasets[run.dataset].expect.classes)
    method = learned.load(untrained, program.result("pretrain", options.run), device)
    train, test = (Images(Shards(folder / split), run.image_size, run.backbone.channels) for split in ("train", "test"))
    numbers = stratified(test.shards.labels, options.subset, "analyse")
    if not len(numbers):
        raise Failure(f"analyse.{entry}.subset: {options.subset} of {len(test)} is not one image of any class")
    given = analyses.Given(method, method.backbone, train, test, numbers, device, directory)
    metrics = analyses.analysis(options.analysis.name).measure(given, options.analysis)
    write_metrics(directory, metrics | {"samples": len(numbers)})


if __name__ == "__main__":
    program.run(analyse)
