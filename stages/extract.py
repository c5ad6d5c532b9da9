"""Extract the features of a run's dataset with its pretrained backbone: `results/extract/<run>/<split>.arrow`.

The columns are `key`, `label` and the representations that `extract.representations` names.
"""

from pathlib import Path

import torch

from whole_in_parts.config.study import Study
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.distributed.environment import default_device
from whole_in_parts.evaluation import features
from whole_in_parts.models import saved_backbone
from whole_in_parts.results import result_dir
from workflow import launch


def extract(study: Study, run: str, directory: Path) -> None:
    options = study.runs[run]
    names = study.extract.representations
    device = default_device()
    backbone, size = saved_backbone.load(result_dir("pretrain", run) / "model", device, study.extract.precision)
    # Before the first image is decoded.
    features.require_representations(backbone, names)

    for split in ("train", "test"):
        shards = Shards(result_dir("shard", options.dataset) / split)
        images = Images(shards, size, options.backbone.channels, study.datasets[options.dataset].test_transform)
        batches = features.iter_representations(backbone, images, names, device, split)
        features.write(shards.keys, torch.from_numpy(shards.labels), batches, directory / f"{split}.arrow")


if __name__ == "__main__":
    launch.run(extract)
