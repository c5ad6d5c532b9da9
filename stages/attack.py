"""Attack a run's backbone and linear probe by L∞ PGD: `results/attack/<run>/`.

Writes `metrics.json`: for each setting, the robust top-1 in per cent on a subset of the test images and the bounds of
its 95 % interval (`<setting>_low`, `<setting>_high`). `predictions.parquet` has the prediction of each image
under each setting. `clean` is the control, an attack with epsilon 0. Inputs are in [0, 1]; the attacked model
normalises them.

The papers' settings start from the image itself (CO-SSL, section 4.2; `docs/methods.md` E.10 gives the reason) and are
weak; a setting with random starts, restarts and more steps is stronger. In every case, the accuracy is an upper bound
of the true robustness. Gradients and predictions are always float32, since their rounding in bfloat16 would pass for
robustness. A killed attack resumes from its checkpoint if everything that it depends on is unchanged.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.checkpoints import Checkpoints
from whole_in_parts.config.evaluations import AttackSetting
from whole_in_parts.config.study import Study
from whole_in_parts.data.shards import INDEX
from whole_in_parts.distributed.environment import default_device, is_rank_zero
from whole_in_parts.distributed.group import assert_same_config
from whole_in_parts.evaluation.features import iter_rows
from whole_in_parts.evaluation.pgd import predict_under_attack
from whole_in_parts.evaluation.probed_backbone import CLASSIFIERS, EvalInputs, eval_inputs
from whole_in_parts.metrics import write_metrics
from whole_in_parts.results import result_dir, scratch_dir
from workflow import launch
from workflow.provenance.inputs import digest

CLEAN = AttackSetting(epsilon=0, step=1, iterations=1)
BATCH = 100
"""Images per batch: gradients take many times the memory of a forward pass."""

NORMAL_95 = 1.959964
"""The 97.5 % quantile of the normal distribution, for a two-sided interval of 95 %."""


def attack(study: Study, run: str, directory: Path) -> None:
    device = default_device()
    inputs = eval_inputs(study, run, study.attack, device)
    checkpoints = Checkpoints(scratch_dir("attack", run) / checkpoint_name(study, run, device))
    predictions = predict_all(inputs, {"clean": CLEAN} | study.attack.settings, checkpoints, device)

    metrics: dict[str, float] = {}
    total = len(inputs.indices)
    for name, predicted_N in predictions.items():
        correct = int((predicted_N == inputs.labels_N).sum())
        low, high = wilson_interval(correct, total)
        metrics |= {name: round(100 * correct / total, 4), f"{name}_low": low, f"{name}_high": high}
    write_metrics(directory, metrics | {"samples": total})

    columns: dict[str, object] = {
        "key": [inputs.images.shards.keys[index] for index in inputs.indices],
        "label": inputs.labels_N.numpy(),
    }
    columns |= {name: predicted_N.numpy() for name, predicted_N in predictions.items()}
    pq.write_table(pa.table(columns), directory / "predictions.parquet")


def predict_all(
    inputs: EvalInputs, settings: dict[str, AttackSetting], checkpoints: Checkpoints, device: torch.device
) -> dict[str, Tensor]:
    """Predict the classes (N,) under each setting, resuming from the checkpoint of a killed attack."""
    predictions: dict[str, Tensor] = checkpoints.load() or {}
    assert_same_config({name: f"{len(predicted_N)} predictions" for name, predicted_N in predictions.items()})
    for name, setting in settings.items():
        predictions.setdefault(name, torch.empty(0, dtype=torch.int64))
        remaining = inputs.indices[len(predictions[name]) :]

        def predict(indices: NDArray[np.int64], images_BCHW: Tensor, setting: AttackSetting = setting) -> Tensor:
            labels_B = torch.from_numpy(inputs.images.shards.labels[indices]).to(device)
            return predict_under_attack(inputs.model, images_BCHW, labels_B, indices, setting)

        for predicted_B in iter_rows(predict, inputs.images, remaining, device, name, BATCH):
            predictions[name] = torch.cat([predictions[name], predicted_B])
            if is_rank_zero() and checkpoints.due():
                checkpoints.save(predictions)

    return {name: predictions[name] for name in settings}


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """Compute Wilson's score interval, in per cent (Wilson, 1927), which holds for few samples and near 0 and 100."""
    share = correct / total
    weight = NORMAL_95**2 / total
    middle = (share + weight / 2) / (1 + weight)
    half = (weight * (share * (1 - share) + weight / 4)) ** 0.5 / (1 + weight)
    return round(100 * max(0.0, middle - half), 4), round(100 * min(1.0, middle + half), 4)


def checkpoint_name(study: Study, run: str, device: torch.device) -> str:
    """Hash all that predictions under attack depend on: options, code, versions, model, classifier and images."""
    files = [
        *(result_dir("pretrain", run) / "model").iterdir(),
        result_dir("linear", run) / CLASSIFIERS[study.attack.classifier],
        result_dir("shard", study.runs[run].dataset) / "test" / INDEX,
    ]
    return digest(study, "attack", run, device, files, ["foolbox"])


if __name__ == "__main__":
    launch.run(attack)
