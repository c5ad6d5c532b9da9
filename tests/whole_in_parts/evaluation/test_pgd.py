import numpy as np
import pytest
import torch
from torch import Tensor

from whole_in_parts.config.evaluations import AttackSetting, Robustness
from whole_in_parts.evaluation import pgd
from whole_in_parts.evaluation.probed_backbone import EvalInputs, eval_inputs
from whole_in_parts.failure import Failure

CPU = torch.device("cpu")


@pytest.fixture
def given(small, built) -> EvalInputs:
    """A model that learned something, and 100 test images."""
    return eval_inputs(small, "supervised", Robustness(subset=100), CPU)


def setting(epsilon: float, step: float = 0.25, iterations: int = 10, **more: object) -> AttackSetting:
    return AttackSetting(epsilon=epsilon, step=step, iterations=iterations, **more)


def batch(given: EvalInputs) -> Tensor:
    return given.images[given.indices].float() / 255


def by_hand(
    model: torch.nn.Module,
    images_BCHW: Tensor,
    labels_B: Tensor,
    options: AttackSetting,
    start_BCHW: Tensor | float = 0,
) -> Tensor:
    """Projected gradient descent in L∞ (Madry et al., 2018, arXiv:1706.06083), by default from the image itself."""
    x_BCHW = (images_BCHW + options.epsilon * start_BCHW).clamp(0, 1)
    for _ in range(options.iterations):
        x_BCHW.requires_grad_()
        loss = torch.nn.functional.cross_entropy(model(x_BCHW), labels_B, reduction="sum")
        (gradient_BCHW,) = torch.autograd.grad(loss, x_BCHW)
        x_BCHW = x_BCHW.detach() + options.step * options.epsilon * gradient_BCHW.sign()
        x_BCHW = x_BCHW.clamp(images_BCHW - options.epsilon, images_BCHW + options.epsilon).clamp(0, 1)
    return x_BCHW


def right(given: EvalInputs, options: AttackSetting) -> int:
    """How many images withstand an attack."""
    found_B = pgd.predict_under_attack(given.model, batch(given), given.labels_N, given.indices, options)
    return int((found_B == given.labels_N).sum())


@pytest.mark.parametrize(
    "options", [setting(0.03, 0.025, 5), setting(0.1, 1.0, 1), setting(0.1), setting(0.3, 0.9, 4)], ids=str
)
def test_the_attack_equals_pgd_written_out(given, options):
    images_BCHW = batch(given)
    ours_BCHW = pgd.perturb(given.model, images_BCHW, given.labels_N, options)
    theirs_BCHW = by_hand(given.model, images_BCHW, given.labels_N, options)
    torch.testing.assert_close(ours_BCHW, theirs_BCHW, atol=1e-6, rtol=0)


def test_from_a_random_start_it_equals_pgd_written_out_from_there(given):
    images_BCHW, options = batch(given), setting(0.1, 0.1, 4, random_start=True)
    start_BCHW = pgd.random_start(given.indices, images_BCHW, 0)
    ours_BCHW = pgd.perturb(given.model, images_BCHW, given.labels_N, options, start_BCHW)
    theirs_BCHW = by_hand(given.model, images_BCHW, given.labels_N, options, start_BCHW)
    torch.testing.assert_close(ours_BCHW, theirs_BCHW, atol=1e-6, rtol=0)
    assert not torch.equal(ours_BCHW, pgd.perturb(given.model, images_BCHW, given.labels_N, options))


@pytest.mark.parametrize("start", [False, True])
@pytest.mark.parametrize("epsilon", [0.003, 0.1, 0.5])
def test_adversarial_images_stay_within_epsilon_and_within_the_range_of_images(given, epsilon, start):
    images_BCHW = batch(given)
    start_BCHW = pgd.random_start(given.indices, images_BCHW, 0) if start else None
    found_BCHW = pgd.perturb(given.model, images_BCHW, given.labels_N, setting(epsilon), start_BCHW)
    distance = (found_BCHW - images_BCHW).abs().max().item()
    assert distance == pytest.approx(epsilon, abs=1e-6)
    assert 0 <= found_BCHW.min() <= found_BCHW.max() <= 1


@pytest.mark.parametrize("random_start", [False, True])
def test_an_attack_of_epsilon_zero_changes_nothing(given, random_start):
    images_BCHW, options = batch(given), setting(0, random_start=random_start)
    start_BCHW = pgd.random_start(given.indices, images_BCHW, 0) if random_start else None
    assert torch.equal(pgd.perturb(given.model, images_BCHW, given.labels_N, options, start_BCHW), images_BCHW)
    found_B = pgd.predict_under_attack(given.model, images_BCHW, given.labels_N, given.indices, options)
    assert torch.equal(found_B, given.model(images_BCHW).argmax(1))


@pytest.mark.parametrize(
    ("pair", "most"),
    [
        ([setting(epsilon) for epsilon in (0, 0.3)], 5),
        ([setting(0.1, 0.1, iterations) for iterations in (2, 16)], 80),
        ([setting(0.3, 0.05, 1, random_start=True, restarts=restarts) for restarts in (1, 32)], 95),
    ],
    ids=["epsilon", "steps", "restarts"],
)
def test_accuracy_falls_with_the_strength_of_an_attack(given, pair, most, claim):
    weak, strong = (right(given, options) for options in pair)
    claim("fall", weak - strong, above=0)
    claim("images that withstand the stronger", strong, below=most)


def test_of_several_restarts_the_first_that_fools_the_model_counts(given):
    images_BCHW, options = batch(given), setting(0.05, 0.3, 3, random_start=True, restarts=3)
    each_RB = torch.stack(
        [
            given.model(
                by_hand(
                    given.model,
                    images_BCHW,
                    given.labels_N,
                    options,
                    pgd.random_start(given.indices, images_BCHW, restart),
                )
            ).argmax(1)
            for restart in range(3)
        ]
    )
    wrong_RB = each_RB != given.labels_N
    first_B = wrong_RB.double().argmax(0)
    expected_B = each_RB[first_B, torch.arange(len(first_B))]
    found_B = pgd.predict_under_attack(given.model, images_BCHW, given.labels_N, given.indices, options)
    assert torch.equal(found_B, expected_B)
    assert (wrong_RB.any(0) & ~wrong_RB[0]).any()


def test_a_random_start_is_a_function_of_sample_and_restart(given):
    images_BCHW = batch(given)
    start_BCHW = pgd.random_start(given.indices, images_BCHW, 0)
    assert torch.equal(pgd.random_start(given.indices[[7, 2]], images_BCHW[[7, 2]], 0), start_BCHW[[7, 2]])
    assert not torch.equal(pgd.random_start(given.indices, images_BCHW, 1), start_BCHW)
    assert -1 <= start_BCHW.min() < -0.99
    assert 0.99 < start_BCHW.max() <= 1
    assert len(np.unique(start_BCHW[:2].numpy())) == start_BCHW[:2].numel()
    assert start_BCHW.mean().abs() < 0.02


def test_a_model_in_training_mode_is_refused(given):
    with pytest.raises(Failure, match="training mode"):
        pgd.perturb(given.model.train(), batch(given), given.labels_N, setting(0.1))


@pytest.mark.parametrize("change", [lambda x: 255 * x, lambda x: x - 0.5, lambda x: x * torch.nan], ids=range(3))
def test_images_outside_of_their_range_are_refused_with_theirs(given, change):
    with pytest.raises(Failure, match=r"are in \[0, 1\] and normalised by the model; these are in \[(0|-0\.5|nan), "):
        pgd.perturb(given.model, change(batch(given)), given.labels_N, setting(0.1))
