"""Extract the features of a run's dataset by its pretrained backbone: `results/extract/<run>/<split>.arrow`.

A column for each representation that `extract.representations` names, beside `key` and `label`.
"""

from pathlib import Path

import torch

from whole_in_parts.config.study import Study
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.distributed.environment import default_device
from whole_in_parts.evaluation import features
from whole_in_parts.models import saved_backbone
from whole_in_parts.results import result_dir
from workflow import program


def extract(study: Study, run: str, directory: Path) -> None:
    options, names, device = study.runs[run], study.extract.representations, default_device()
    backbone, size = saved_backbone.load(result_dir("pretrain", run) / "model", device)
    features.require(backbone, names)
    for split in ("train", "test"):
        shards = Shards(result_dir("shard", options.dataset) / split)
        images = Images(shards, size, options.backbone.channels)
        made = features.represent(backbone, images, names, device, split)
        features.write(shards.keys, torch.from_numpy(shards.labels), made, directory / f"{split}.arrow")


if __name__ == "__main__":
    program.run(extract)
