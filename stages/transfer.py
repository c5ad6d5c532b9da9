"""Transfer a run's backbone to another dataset: `results/transfer/<run>/metrics.json`.

A linear probe, as the study's `linear` section says, trained and tested on the features of the images of
`transfer.dataset`, resized to what the backbone was pretrained at.
"""

from pathlib import Path

from stages import program
from stages.backbones import saved
from stages.images.shards import Images, Shards
from stages.probing import classifier
from stages.probing.features import features
from stages.study import Study


def transfer(study: Study, run: str, directory: Path) -> None:
    device, dataset = program.device(), study.transfer.dataset
    backbone, size = saved.load(program.result("pretrain", run) / "model", device)
    train, test = (Shards(program.result("shard", dataset) / split) for split in ("train", "test"))
    seen, unseen = (
        features(backbone, Images(shards, size, study.runs[run].backbone.channels), device, dataset)
        for shards in (train, test)
    )
    layer = classifier.train(seen, len(train.classes), study.linear)
    program.write_metrics(directory, {"top1": classifier.top1(layer(unseen.features_ND), unseen.labels_N)})


if __name__ == "__main__":
    program.run(transfer, keys="runs")
