"""A plan says what a study will cost before it is paid for."""

import argparse
import subprocess
import sys

import pytest
import torch

from tests.every_method import TRAINS
from tests.golden.training import SIZE, double_method
from whole_in_parts.config.study import load_study
from whole_in_parts.training.building import build
from whole_in_parts.training.step_cost import flops, saved_bytes
from workflow import plan


@pytest.fixture
def planned(root, monkeypatch, capsys):
    """A function that plans a study, and gives what was printed."""
    monkeypatch.chdir(root)

    def go(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["plan", "workflow/studies/small.yaml", *arguments])
        plan.main()
        return capsys.readouterr().out

    return go


def rows(printed: str) -> dict[str, list[str]]:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines() if line[:1] == "|"]
    return {cells[0]: cells[1:] for cells in lines[2:]}


def test_every_run_has_its_steps_and_the_total_is_their_sum(planned, small):
    found = rows(planned("--hardware", "h200", "--share", "0.000001"))
    runs = load_study(plan.PARAMS.parent / "workflow/studies/small.yaml").runs
    assert list(found) == [*runs, "all"]
    assert {name: int(found[name][0].replace(",", "")) for name in runs} == {
        name: run.epochs * (1347 // 64) for name, run in runs.items()
    }
    assert float(found["all"][2]) == pytest.approx(sum(float(found[name][2]) for name in runs), abs=0.03)


def test_hours_are_what_flops_share_and_gpus_say(planned):
    one, four = (rows(planned("--hardware", "a100", "--share", "0.000001", "--gpus", gpus)) for gpus in ("1", "4"))
    _, flops, hours, _ = one["all"]
    assert float(hours) == pytest.approx(float(flops) / (19.5e12 * 1e-6) / 3600, rel=0.05)
    assert float(four["all"][2]) == pytest.approx(float(hours) / 4, abs=0.01)


def test_here_a_step_is_timed(planned):
    printed = planned()
    assert "measured here" in printed
    assert rows(printed)["byol"][1] != "0"


def test_unknown_hardware_is_refused_with_what_is_known(root):
    command = [sys.executable, "-m", "workflow.plan", "--hardware", "abacus"]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert ran.returncode != 0
    assert "--hardware: abacus is not known; there are: here, a100" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_flops_are_three_forward_passes_of_each_trained_view_and_one_of_each_target(small):
    supervised = small.runs["supervised"]
    options = argparse.Namespace(hardware="h200", share=1.0, gpus=1)
    counted = plan.cost_of(supervised, options).flops
    backbone = build(supervised, 1000).backbone
    with torch.utils.flop_counter.FlopCounterMode(display=False) as counter, torch.no_grad():
        backbone(torch.rand(1, 1, 8, 8))
    assert counted / supervised.batch_size == pytest.approx(3 * counter.get_total_flops(), rel=0.15)


@pytest.mark.parametrize(("name", "modifier"), TRAINS)
def test_a_step_of_shapes_alone_costs_what_a_real_step_does(name, modifier, small):
    options = small.runs["byol"].model_copy(update={"image_size": SIZE, "batch_size": 4})
    method = double_method(name, modifier).float()
    real = plan.step_of(method, options, 4, plan.CPU)
    expected = flops(real), saved_bytes(real)
    assert plan.count(method, options, 4) == expected


def test_memory_grows_with_the_batch_and_has_the_weights_in_any_case(small):
    options = argparse.Namespace(hardware="h200", share=1.0, gpus=1)
    run = small.runs["supervised"]
    held = [plan.cost_of(run.model_copy(update={"batch_size": size}), options).memory for size in (64, 128, 256)]
    assert held[2] - held[1] == pytest.approx(2 * (held[1] - held[0]), rel=0.01)
    weights = 4 * sum(parameter.numel() for parameter in build(run, 1000).parameters())
    assert held[0] > 3 * weights
