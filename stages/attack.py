"""Attack a run's backbone and linear probe by L∞ PGD: `results/attack/<run>/metrics.json`.

Robust top-1 on a subset of the test images for each setting, by Foolbox, from the image itself and not from a random
start (CO-SSL, section 4.2; `methods.md` E.10 says why). Inputs are in [0, 1]; the attacked model normalises them.
The settings are weak on purpose, as the paper's are: an accuracy here is an upper bound of the true robustness.
"""

import warnings
from pathlib import Path

import torch
from torch import Tensor

from stages import program
from stages.probing.classifier import top1
from stages.probing.features import batches
from stages.probing.frozen import Subject, subject
from stages.study import Study
from stages.study.evaluations import AttackSetting

with warnings.catch_warnings():
    # Foolbox 3.3 imports scipy.ndimage by an old name.
    warnings.simplefilter("ignore", DeprecationWarning)
    from foolbox import PyTorchModel
    from foolbox.attacks import LinfProjectedGradientDescentAttack


def attack(study: Study, run: str, directory: Path) -> None:
    device = program.device()
    given = subject(study, run, study.attack.subset, device)
    metrics = {"clean": robust(given, AttackSetting(epsilon=0, step=1, iterations=1), device, "clean")}
    for name, setting in study.attack.settings.items():
        metrics[name] = robust(given, setting, device, name)
    program.write_metrics(directory, metrics | {"samples": len(given.numbers)})


def robust(given: Subject, setting: AttackSetting, device: torch.device, what: str) -> float:
    """Top-1 on the subset under an attack."""
    logits = []
    for numbers, images_BCHW in batches(given.images, given.numbers, device, what):
        labels_B = torch.from_numpy(given.images.shards.labels[numbers]).to(device)
        logits.append(given.model(perturb(given.model, images_BCHW, labels_B, setting)).detach().cpu())
    return top1(torch.cat(logits), given.labels_N)


def perturb(model: torch.nn.Module, images_BCHW: Tensor, labels_B: Tensor, setting: AttackSetting) -> Tensor:
    """Adversarial images, within epsilon of the given ones and within [0, 1].

    Raises:
        Failure: the model is in training mode, so that its answer would depend on the batch.
    """
    if model.training:
        raise program.Failure("the attacked model is in training mode; call eval() first")
    method = LinfProjectedGradientDescentAttack(rel_stepsize=setting.step, steps=setting.iterations, random_start=False)
    target = PyTorchModel(model, bounds=(0, 1), device=images_BCHW.device)
    _, adversarial_BCHW, _ = method(target, images_BCHW, labels_B, epsilons=setting.epsilon)
    return adversarial_BCHW


if __name__ == "__main__":
    program.run(attack, keys="runs")
