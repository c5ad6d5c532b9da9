"""Extract the features of a run's dataset by its pretrained backbone: `results/extract/<run>/<split>.arrow`.

A column for each representation that `extract.representations` names, beside `key` and `label`.
"""

from pathlib import Path

import torch

from stages import program
from stages.backbones import saved
from stages.images.shards import Images, Shards
from stages.probing import features
from stages.study import Study


def extract(study: Study, run: str, directory: Path) -> None:
    options, names, device = study.runs[run], study.extract.representations, program.device()
    backbone, size = saved.load(program.result("pretrain", run) / "model", device)
    features.require(backbone, names)
    for split in ("train", "test"):
        shards = Shards(program.result("shard", options.dataset) / split)
        images = Images(shards, size, options.backbone.channels)
        made = features.represent(backbone, images, names, device, split)
        features.write(shards.keys, torch.from_numpy(shards.labels), made, directory / f"{split}.arrow")


if __name__ == "__main__":
    program.run(extract)
