import json

import numpy as np
import pytest
import torch

from stages.corrupt import accuracy, corrupt
from stages.probing.classifier import top1
from stages.probing.frozen import subject

CPU = torch.device("cpu")
NAMES = ["gaussian_noise", "defocus_blur"]


@pytest.mark.parametrize("name", NAMES)
def test_accuracy_does_not_depend_on_the_batches(small, built, monkeypatch, name):
    given = subject(small, "supervised", 200, CPU)
    whole = accuracy(given, CPU, name, 5)
    monkeypatch.setattr("stages.probing.features.BATCH", 7)
    assert accuracy(given, CPU, name, 5) == whole


@torch.no_grad()
def test_without_a_corruption_it_is_the_accuracy_of_the_plain_model(small, built):
    given = subject(small, "supervised", 200, CPU)
    logits_NK = given.model(given.images[given.numbers].float() / 255)
    assert accuracy(given, CPU, None, 0) == top1(logits_NK, given.labels_N)


def test_the_stage_reports_each_severity_and_the_mean_over_them(small, built, tmp_path):
    corrupt(small, "supervised", tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert set(metrics) == {"clean", "samples", *NAMES, *(f"{name}_{n}" for name in NAMES for n in range(1, 6))}
    for name in NAMES:
        assert metrics[name] == pytest.approx(np.mean([metrics[f"{name}_{n}"] for n in range(1, 6)]), abs=1e-4)
        assert metrics[f"{name}_5"] < metrics["clean"]
