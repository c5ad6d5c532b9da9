"""Train a linear probe on the features of a run: `results/linear/<run>/`.

Writes `metrics.json` (top-1 on the test split, in per cent), the classifier, and the prediction of every test image.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stages import program
from stages.probing import classifier, features
from stages.study import Study


def linear(study: Study, run: str, directory: Path) -> None:
    train, test = (features.read(program.result("extract", run) / f"{split}.arrow") for split in ("train", "test"))
    layer = classifier.train(train, int(train.labels_N.max()) + 1, study.linear)
    logits_NK = layer(test.features_ND)
    program.write_metrics(directory, {"top1": classifier.top1(logits_NK, test.labels_N)})
    classifier.save(layer, directory / "classifier.safetensors")
    rows = {"key": test.keys, "label": test.labels_N.numpy(), "predicted": logits_NK.argmax(1).numpy()}
    pq.write_table(pa.table(rows), directory / "predictions.parquet")


if __name__ == "__main__":
    program.run(linear, keys="runs")
