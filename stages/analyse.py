"""Analyse a pretrained run: `results/analyse/<entry>/metrics.json`, with tables and figures beside it.

The analyses are the modules of `whole_in_parts/evaluation/analyses/`; each uses a subset of a dataset's test images,
which all processes share. Rank zero draws and writes. Everything is float32.
"""

from pathlib import Path

from whole_in_parts.augment.randomness import stratified
from whole_in_parts.config.study import Study
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.distributed.environment import default_device
from whole_in_parts.evaluation.analysis import AnalysisContext, load_analysis
from whole_in_parts.failure import Failure
from whole_in_parts.metrics import write_metrics
from whole_in_parts.results import result_dir
from whole_in_parts.training import method_weights
from whole_in_parts.training.building import build
from workflow import launch


def analyse(study: Study, entry: str, directory: Path) -> None:
    options = study.analyse[entry]
    run = study.runs[options.run]
    device = default_device()

    # The whole method, not its backbone alone: analyses also use projectors and affinities.
    untrained = build(run, study.expectations(run.dataset).classes)
    method = method_weights.load(untrained, result_dir("pretrain", options.run), device)

    folder = result_dir("shard", options.dataset)
    transform = study.datasets[options.dataset].test_transform
    train, test = (
        Images(Shards(folder / split), run.image_size, run.backbone.channels, transform) for split in ("train", "test")
    )
    indices = stratified(test.shards.labels, options.subset, "analyse")
    if not len(indices):
        raise Failure(
            f"analyse.{entry}.subset: {options.subset} of {len(test)} is less than one image of any class; raise it"
        )

    context = AnalysisContext(method, method.backbone, train, test, indices, device, directory)
    metrics = load_analysis(options.analysis.name).measure(context, options.analysis)
    write_metrics(directory, metrics | {"samples": len(indices)})


if __name__ == "__main__":
    launch.run(analyse)
