"""Attack a run's backbone and linear probe by L∞ PGD: `results/attack/<run>/`.

Writes `metrics.json`, robust top-1 in per cent on a subset of the test images for each setting, with the bounds of its
95 % interval (`<setting>_low`, `<setting>_high`), and the prediction of every image under each. `clean` is the control:
an attack of epsilon 0. Inputs are in [0, 1]; the attacked model normalises them.

The papers' settings start from the image itself (CO-SSL, section 4.2; `docs/methods.md` E.10 says why) and are weak; a
setting with random starts, restarts and more steps is stronger. Whichever it is, an accuracy here is an upper bound of
the true robustness. An attack that is killed goes on where it was, as long as what it depends on is the same.
"""

import hashlib
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from whole_in_parts.checkpoints import Checkpoints
from whole_in_parts.config.evaluations import AttackSetting
from whole_in_parts.config.study import Study
from whole_in_parts.data.shards import INDEX
from whole_in_parts.distributed.environment import default_device
from whole_in_parts.evaluation.features import batches
from whole_in_parts.evaluation.pgd import predictions
from whole_in_parts.evaluation.probed_backbone import EvalInputs, eval_inputs
from whole_in_parts.metrics import write_metrics
from whole_in_parts.results import result_dir, scratch_dir
from workflow import program
from workflow.provenance.record import record, text

CLEAN = AttackSetting(epsilon=0, step=1, iterations=1)
BATCH = 100
"""Images at once: gradients take many times the memory of a forward pass."""

NORMAL_95 = 1.959964
"""The quantile of the normal distribution that leaves 5 % beyond both sides."""


def attack(study: Study, run: str, directory: Path) -> None:
    device = default_device()
    given = eval_inputs(study, run, study.attack.subset, device)
    checkpoints = Checkpoints(scratch_dir("attack", run) / digest(study, run, device))
    predicted = attacked(given, {"clean": CLEAN} | study.attack.settings, checkpoints, device)
    metrics: dict[str, float] = {}
    for name, predicted_N in predicted.items():
        right, total = int((predicted_N == given.labels_N).sum()), len(given.indices)
        low, high = interval(right, total)
        metrics |= {name: round(100 * right / total, 4), f"{name}_low": low, f"{name}_high": high}
    write_metrics(directory, metrics | {"samples": len(given.indices)})
    keys = [given.images.shards.keys[number] for number in given.indices]
    rows = {"key": keys, "label": given.labels_N.numpy()} | {name: found.numpy() for name, found in predicted.items()}
    pq.write_table(pa.table(rows), directory / "predictions.parquet")


def attacked(
    given: EvalInputs, settings: dict[str, AttackSetting], checkpoints: Checkpoints, device: torch.device
) -> dict[str, Tensor]:
    """The predictions (N,) under each setting; those that were kept by a killed attack are not made again."""
    done: dict[str, Tensor] = checkpoints.load() or {}
    for name, setting in settings.items():
        done.setdefault(name, torch.empty(0, dtype=torch.int64))
        left = given.indices[len(done[name]) :]
        for indices, images_BCHW in batches(given.images, left, device, name, BATCH):
            labels_B = torch.from_numpy(given.images.shards.labels[indices]).to(device)
            found_B = predictions(given.model, images_BCHW, labels_B, indices, setting)
            done[name] = torch.cat([done[name], found_B.cpu()])
            if checkpoints.due():
                checkpoints.save(done)
    return {name: done[name] for name in settings}


def interval(right: int, total: int) -> tuple[float, float]:
    """Wilson's score interval of a share, in per cent (Wilson, 1927): it holds for few samples and near 0 and 100."""
    share, weight = right / total, NORMAL_95**2 / total
    middle = (share + weight / 2) / (1 + weight)
    half = (weight * (share * (1 - share) + weight / 4)) ** 0.5 / (1 + weight)
    return round(100 * max(0.0, middle - half), 4), round(100 * min(1.0, middle + half), 4)


def digest(study: Study, run: str, device: torch.device) -> str:
    """Stands for all that predictions under attack depend on: options, code, model, classifier and images."""
    versions = f"{torch.__version__} {version('foolbox')} {device.type}"
    state = hashlib.sha256((text(record(study, "attack", run)) + versions).encode())
    read = [
        *(result_dir("pretrain", run) / "model").iterdir(),
        result_dir("linear", run) / "classifier.safetensors",
        result_dir("shard", study.runs[run].dataset) / "test" / INDEX,
    ]
    for file in sorted(read):
        state.update(file.read_bytes())
    return state.hexdigest()[:16]


if __name__ == "__main__":
    program.run(attack)
