import json

import pytest
import torch
from torch import Tensor

from stages.attack import attack, perturb, robust
from stages.probing.classifier import top1
from stages.probing.frozen import Subject, subject
from stages.program import Failure
from stages.study.evaluations import AttackSetting

CPU = torch.device("cpu")


@pytest.fixture
def given(small, built) -> Subject:
    """A model that learned something, and 100 test images."""
    return subject(small, "supervised", 100, CPU)


def setting(epsilon: float, step: float = 0.25, iterations: int = 10) -> AttackSetting:
    return AttackSetting(epsilon=epsilon, step=step, iterations=iterations)


def batch(given: Subject) -> Tensor:
    return given.images[given.numbers].float() / 255


def pgd(model: torch.nn.Module, images_BCHW: Tensor, labels_B: Tensor, options: AttackSetting) -> Tensor:
    """Projected gradient descent in L∞ (Madry et al., 2018, arXiv:1706.06083) from the image itself."""
    x_BCHW = images_BCHW.clone()
    for _ in range(options.iterations):
        x_BCHW.requires_grad_()
        loss = torch.nn.functional.cross_entropy(model(x_BCHW), labels_B, reduction="sum")
        (gradient_BCHW,) = torch.autograd.grad(loss, x_BCHW)
        x_BCHW = x_BCHW.detach() + options.step * options.epsilon * gradient_BCHW.sign()
        x_BCHW = x_BCHW.clamp(images_BCHW - options.epsilon, images_BCHW + options.epsilon).clamp(0, 1)
    return x_BCHW


@pytest.mark.parametrize(
    "options", [setting(0.03, 0.025, 5), setting(0.1, 1.0, 1), setting(0.1), setting(0.3, 0.9, 4)], ids=str
)
def test_the_attack_equals_pgd_written_out(given, options):
    images_BCHW = batch(given)
    ours_BCHW = perturb(given.model, images_BCHW, given.labels_N, options)
    torch.testing.assert_close(ours_BCHW, pgd(given.model, images_BCHW, given.labels_N, options), atol=1e-6, rtol=0)


@pytest.mark.parametrize("epsilon", [0.003, 0.1, 0.5])
def test_adversarial_images_stay_within_epsilon_and_within_the_range_of_images(given, epsilon):
    images_BCHW = batch(given)
    found_BCHW = perturb(given.model, images_BCHW, given.labels_N, setting(epsilon))
    distance = (found_BCHW - images_BCHW).abs().max().item()
    assert distance == pytest.approx(epsilon, abs=1e-6)
    assert 0 <= found_BCHW.min() <= found_BCHW.max() <= 1


def test_an_attack_of_epsilon_zero_changes_nothing(given):
    images_BCHW = batch(given)
    assert torch.equal(perturb(given.model, images_BCHW, given.labels_N, setting(0)), images_BCHW)
    assert robust(given, setting(0), CPU, "test") == top1(given.model(images_BCHW), given.labels_N)


def test_accuracy_never_rises_with_epsilon_and_falls_to_nothing(given):
    accuracies = [robust(given, setting(epsilon), CPU, "test") for epsilon in (0, 0.003, 0.01, 0.03, 0.1, 0.3)]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] > 80
    assert accuracies[-1] < 5


def test_accuracy_does_not_depend_on_the_batches(given, monkeypatch):
    whole = robust(given, setting(0.05), CPU, "test")
    monkeypatch.setattr("stages.probing.features.BATCH", 7)
    assert robust(given, setting(0.05), CPU, "test") == whole


def test_a_model_in_training_mode_is_refused(given):
    with pytest.raises(Failure, match="training mode"):
        perturb(given.model.train(), batch(given), given.labels_N, setting(0.1))


def test_the_stage_reports_clean_accuracy_and_each_setting(small, built, tmp_path):
    attack(small, "supervised", tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert list(metrics) == ["clean", "one_step", "samples"]
    assert metrics["one_step"] < metrics["clean"]
