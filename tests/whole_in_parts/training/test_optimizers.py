import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from tests.every_method import METHODS, MODIFIERS
from tests.whole_in_parts.methods.examples import made, modified
from whole_in_parts.config.training import OptimizerOptions
from whole_in_parts.methods.base import Method
from whole_in_parts.training import optimizers
from whole_in_parts.training.optimizers import Rates

RATE, STEPS = 0.8, 110


def test_the_weight_decay_stays_unless_it_has_an_end():
    assert {optimizers.weight_decay(step, STEPS, 0.04) for step in range(STEPS)} == {0.04}
    decays = [optimizers.weight_decay(step, STEPS, 0.04, 0.4) for step in (0, 55, 109)]
    assert decays == pytest.approx([0.04, 0.22, 0.4], abs=1e-4)


def test_the_rates_of_a_run_are_for_its_batch_and_its_epochs(small):
    options = opt("adamw", learning_rate_end=0.08, weight_decay=0.04, weight_decay_end=0.4, warmup_epochs=2)
    run = small.runs["byol"].model_copy(update={"optimizer": options, "epochs": 6, "batch_size": 64})
    assert optimizers.scheduled_rates(run, 20, 10) == pytest.approx(
        (RATE / 4, optimizers.weight_decay(20, 60, 0.04, 0.4), RATE / 4)
    )
    assert optimizers.scheduled_rates(run, 40, 10) == pytest.approx(
        ((RATE / 4 + 0.08) / 2, optimizers.weight_decay(40, 60, 0.04, 0.4), RATE / 4)
    )


def test_the_rates_of_a_run_with_milestones_fall_at_its_epochs(small):
    options = opt("sgd", milestones=(3, 5))
    run = small.runs["byol"].model_copy(update={"optimizer": options, "epochs": 6, "batch_size": 256})
    rates = [optimizers.scheduled_rates(run, step, 10).learning_rate for step in (29, 30, 49, 50)]
    assert rates == pytest.approx([RATE, RATE / 10, RATE / 10, RATE / 100])


@pytest.mark.parametrize("milestones", [(5, 3), (3, 3), (1,)])
def test_milestones_that_do_not_follow_the_warmup_and_each_other_are_refused(milestones):
    with pytest.raises(ValueError, match=r"milestones: .* allowed are growing numbers of epochs after the warm-up"):
        opt("sgd", warmup_epochs=2, milestones=milestones)


@pytest.fixture
def module() -> Method:
    """A weight of two dimensions and one, and one that is not trained."""
    method = Method()
    frozen = nn.Linear(4, 4).requires_grad_(False)
    for name, layer in enumerate([nn.Linear(6, 4), nn.BatchNorm1d(4), frozen]):
        method.add_module(str(name), layer)
    return method


def opt(name: str, **changes):
    options = {"name": name, "learning_rate": RATE, "weight_decay": 0, "warmup_epochs": 0} | changes
    return TypeAdapter(OptimizerOptions).validate_python(options)


def build_optimizer(name: str, module: Method, weight_decay: float, **changes) -> torch.optim.Optimizer:
    return optimizers.build_optimizer(opt(name, weight_decay=weight_decay, **changes), module)


@pytest.mark.parametrize("name", ["sgd", "adamw", "lars"])
def test_an_optimizer_moves_what_is_trained_and_decays_its_matrices_alone(module, name):
    optimizer, before = build_optimizer(name, module, weight_decay=0.1), [p.clone() for p in module.parameters()]
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for weight_decay in (0.1, 0.3):
        optimizers.set_rates(optimizer, Rates(0.5, weight_decay, 0.5))
        optimizer.step()
    momentum = 0 if name == "adamw" else 0.9 * 0.1
    for number, (old, new) in enumerate(zip(before, module.parameters(), strict=True)):
        decayed = number == 0
        twice = old * ((1 - 0.5 * 0.1) * (1 - 0.5 * 0.3) - 0.5 * momentum)
        torch.testing.assert_close(new, twice if decayed else old)


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("modifier", ["none", "co"])
def test_the_predictor_of_simsiam_keeps_the_peak_rate_as_in_its_paper_unless_the_run_says_otherwise(
    small, constant, modifier
):
    base = made(small, "simsiam", **({} if constant else {"constant_predictor_rate": False}))
    method = modified(base, MODIFIERS[modifier])
    optimizer = optimizers.build_optimizer(opt("sgd"), method)
    optimizers.set_rates(optimizer, Rates(0.1, 0.0, 0.7))
    rates = {parameter: group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    found = {name: rates[parameter] for name, parameter in method.named_parameters()}
    assert len(found) == sum(len(group["params"]) for group in optimizer.param_groups)
    for name, rate in found.items():
        assert rate == (0.7 if constant and ".predictor." in name else 0.1), name
    assert sum(".predictor." in name for name in found) == 5 * (1 + (modifier == "co"))


@pytest.mark.parametrize("method", METHODS)
def test_biases_and_norms_decay_in_sgd_as_in_the_paper_of_the_method_unless_the_run_says_otherwise(small, method):
    decays = method in {"moco_v2", "simsiam", "mec", "obow", "supervised"}
    built = made(small, method)
    few = {p for p in built.parameters() if p.requires_grad and p.ndim <= 1}
    for options, expected in [
        (opt("sgd", weight_decay=0.1), decays),
        (opt("sgd", weight_decay=0.1, decay_1d=True), True),
        (opt("sgd", weight_decay=0.1, decay_1d=False), False),
        (opt("adamw", weight_decay=0.1), False),
        (opt("lars", weight_decay=0.1), False),
    ]:
        groups = optimizers.build_optimizer(options, built).param_groups
        decayed = {p for group in groups if group["weight_decay"] for p in group["params"]}
        assert (few & decayed) == (few if expected else set())
        assert {p for group in groups for p in group["params"]} == {p for p in built.parameters() if p.requires_grad}


def lars(p, gradients, rates, weight_decay, trust, clips, norm):
    """The formula written out, step by step, with momentum 0.9 (`docs/methods.md`, section D)."""
    moved = torch.zeros_like(p)
    for gradient, rate in zip(gradients, rates, strict=True):
        separate = gradient.norm() + weight_decay * p.norm()
        length = separate if norm == "separate" else (gradient + weight_decay * p).norm()
        ratio = trust * p.norm() / (length + 1e-8)
        ratio = min(ratio / rate, 1.0) if clips else ratio
        moved = 0.9 * moved + ratio * (gradient + weight_decay * p)
        p = p - rate * moved
    return p


@pytest.mark.parametrize(("trust", "clips"), [(0.02, True), (0.001, False)], ids=["small images", "ImageNet"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 10.0])
@pytest.mark.parametrize("norm", ["separate", "decayed"])
def test_lars_is_its_formula_for_matrices_over_several_steps_and_sgd_for_all_else(
    module, weight_decay, scale, trust, clips, norm
):
    optimizer = build_optimizer("lars", module, weight_decay, trust=trust, clip_trust=clips, trust_norm=norm)
    before, rates = [p.detach().clone() for p in module.parameters()], [0.1, 0.5, 0.02, 0.3]
    gradients = [[scale * torch.randn_like(p) for p in module.parameters()] for _ in rates]
    for rate, each in zip(rates, gradients, strict=True):
        for parameter, gradient in zip(module.parameters(), each, strict=True):
            parameter.grad = gradient.clone()
        optimizers.set_rates(optimizer, Rates(rate, weight_decay, rate))
        optimizer.step()
    for number, (parameter, *given) in enumerate(zip(module.parameters(), *gradients, strict=True)):
        plain = torch.optim.SGD([start := before[number].clone().requires_grad_(parameter.requires_grad)], momentum=0.9)
        for rate, gradient in zip(rates, given, strict=True):
            start.grad, plain.param_groups[0]["lr"] = gradient, rate
            plain.step()
        expected = lars(before[0], given, rates, weight_decay, trust, clips, norm) if number == 0 else start
        torch.testing.assert_close(parameter.detach(), expected.detach() if parameter.requires_grad else before[number])


def test_lars_has_the_pair_of_small_images_unless_told_otherwise():
    assert (opt("lars").trust, opt("lars").clip_trust) == (0.02, True)


def test_the_second_step_of_sgd_has_nine_tenths_of_the_first(module):
    optimizer, start = build_optimizer("sgd", module, 0.0), module.get_submodule("0").bias.clone()
    optimizers.set_rates(optimizer, Rates(1.0, 0.0, 1.0))
    for gradient in (1.0, 0.0):
        module.get_submodule("0").bias.grad = torch.full((4,), gradient)
        optimizer.step()
    torch.testing.assert_close(module.get_submodule("0").bias, start - 1.9)


def test_each_gradient_that_is_too_long_is_shortened_by_itself_and_no_other(module):
    long, short, zero = module.get_submodule("0").weight, module.get_submodule("0").bias, module.get_submodule("1").bias
    long.grad, short.grad, zero.grad = torch.full((4, 6), 3.0), torch.full((4,), 0.2), torch.zeros(4)
    optimizers.clip_gradients(module, 2.0)
    assert long.grad.norm() == pytest.approx(2, rel=1e-5)
    torch.testing.assert_close(long.grad, torch.full((4, 6), 2 / 24**0.5), rtol=1e-5, atol=0)
    assert short.grad.tolist() == pytest.approx([0.2] * 4)
    assert zero.grad.tolist() == [0] * 4
    assert module.get_submodule("1").weight.grad is None
