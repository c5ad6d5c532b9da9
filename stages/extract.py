"""Extract the features of a run's dataset by its pretrained backbone: `results/extract/<run>/<split>.arrow`."""

from pathlib import Path

from stages import program
from stages.backbones import saved
from stages.images.shards import Images, Shards
from stages.probing import features
from stages.study import Study


def extract(study: Study, run: str, directory: Path) -> None:
    options, device = study.runs[run], program.device()
    backbone, size = saved.load(program.result("pretrain", run) / "model", device)
    for split in ("train", "test"):
        shards = Shards(program.result("shard", options.dataset) / split)
        images = Images(shards, size, options.backbone.channels)
        features.write(features.features(backbone, images, device, split), directory / f"{split}.arrow")


if __name__ == "__main__":
    program.run(extract, keys="runs")
