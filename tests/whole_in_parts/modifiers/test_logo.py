"""LoGo: the pairs that are aligned, the affinity, and which gradient reaches what."""

import copy
import io
import math

import pytest
import torch
from torch import Tensor, nn

from tests.every_method import CARRIES, SMALL, VIEW
from tests.whole_in_parts.methods.examples import EXACT, IMAGES, apart, batch, embedded, made, modified, unit
from whole_in_parts.augment.views import Crop
from whole_in_parts.config.modifiers.logo import LoGoConfig
from whole_in_parts.config.modifiers.multi_crop import MultiCropConfig
from whole_in_parts.config.runs import Run
from whole_in_parts.modifiers.logo import DEPTH, WIDTH, LoGo
from whole_in_parts.schedules import Clock

BASES = [method for method, modifier in CARRIES if modifier == "logo"]
RATIO = 0.05
OPTIONS = {"name": "logo", "size": 6, "view": SMALL, "ratio": RATIO}


@pytest.fixture
def make(small):
    """A function that gives a base with LoGo."""

    def given(base: str = "byol", **changes) -> LoGo:
        method = made(small, base)
        apart(method)
        return modified(method, LoGoConfig(**OPTIONS | changes))

    return given


def gradients(module: nn.Module) -> Tensor:
    """The gradient of a module as one vector; where there is none, it is zero."""
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in module.parameters()]
    return torch.cat([part.flatten() for part in parts]).clone()


def gradients_of(logo: LoGo, given, *names: str) -> Tensor:
    """The gradient of some terms of the loss at the base; the noise is the same each time."""
    logo.zero_grad()
    torch.manual_seed(7)
    losses = logo(given).losses
    sum(losses[name] for name in names).backward()
    return gradients(logo.base)


def test_there_are_two_large_and_two_local_crops(make):
    assert make().crops([VIEW, VIEW], 8) == [Crop(VIEW, 8)] * 2 + [Crop(SMALL, 6)] * 2


@pytest.mark.parametrize("base", BASES)
def test_the_loss_is_the_mean_of_six_directed_pairs_of_which_none_has_a_local_target(make, base):
    """As large as the base's own loss of two views, which is the mean of two directed pairs."""
    logo, given = make(base), batch(small_crops=2)
    global_ = embedded(logo.base, given)
    g1, g2, l1, l2 = range(4)
    pairs = [(g1, g2), (g2, g1), (l1, g1), (l1, g2), (l2, g1), (l2, g2)]
    terms = [logo.base.align(global_.online[a], global_.target[b], logo.base.heads) for a, b in pairs]
    torch.testing.assert_close(logo(given).losses["global"], 2 * sum(terms) / 6, **EXACT)


def test_mocos_mean_of_one_direction_is_over_the_pairs_that_it_has(make, small):
    base = made(small, "moco_v2", symmetric=False)
    logo, given = modified(base, LoGoConfig(**OPTIONS)), batch(small_crops=2)
    global_ = embedded(base, given)
    pairs = [(0, 1), (2, 0), (2, 1), (3, 0), (3, 1)]
    terms = [base.align(global_.online[a], global_.target[b], base.heads) for a, b in pairs]
    torch.testing.assert_close(logo(given).losses["global"], sum(terms) / 5, **EXACT)


@pytest.mark.parametrize("base", ["byol", "moco_v2", "simsiam"])
def test_without_local_to_local_it_is_multi_crop_with_two_crops_averaged(make, small, base):
    logo, given = make(base, local_to_local=False), batch(small_crops=2)
    crops = [{"count": 2, "size": 6, "view": SMALL}]
    other = made(small, base)
    other.load_state_dict(logo.base.state_dict())
    multi_crop = modified(other, MultiCropConfig(name="multi_crop", crops=crops, average=True))
    assert logo.crops([VIEW, VIEW], 8) == multi_crop.crops([VIEW, VIEW], 8)
    ours, theirs = logo(given).losses, multi_crop(given).losses
    assert set(ours) == set(theirs) == {"global"}
    assert torch.equal(ours["global"], theirs["global"])
    for method, losses in ((logo, ours), (multi_crop, theirs)):
        method.backward(losses)
    assert torch.equal(gradients(logo.base), gradients(multi_crop.base))


def test_the_affinity_has_five_hidden_layers_with_batch_norm_and_gives_a_number_for_each_pair(make):
    affinity = make().affinity
    linear = [layer for layer in affinity.layers if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == (
        [(2 * 16, WIDTH)] + [(WIDTH, WIDTH)] * (DEPTH - 1) + [(WIDTH, 1)]
    )
    assert sum(isinstance(layer, nn.BatchNorm1d) for layer in affinity.layers) == DEPTH == 5
    assert affinity(torch.rand(4, 16).double(), torch.rand(4, 16).double()).shape == (4,)


def test_the_affinitys_loss_is_logistic_with_noisy_pairs_of_one_image_against_pairs_of_two(make):
    logo = make()
    first_BD, second_BD = (unit(torch.randn(IMAGES, 16, dtype=torch.float64)) for _ in range(2))
    torch.manual_seed(3)
    ours = logo.affinity_loss(first_BD, second_BD)
    torch.manual_seed(3)
    noisy = [
        z_BD + 0.3 / math.sqrt(16) * torch.randn(IMAGES, 16, dtype=torch.float64) for z_BD in (first_BD, second_BD)
    ]
    f, expected = logo.affinity, 0
    backwards = list(range(IMAGES))[::-1]
    for one_BD, other_BD in (noisy, noisy[::-1]):
        expected += (1 + (-f(one_BD, other_BD)).exp()).log().mean() / 2
    for one_BD, other_BD in ((first_BD, second_BD), (second_BD, first_BD)):
        expected += (1 + f(one_BD, other_BD[backwards]).exp()).log().mean() / 2
    torch.testing.assert_close(ours, expected, **EXACT)


def test_both_terms_are_of_unit_projections_of_the_local_crops(make):
    logo, given = make(), batch(small_crops=2)
    torch.manual_seed(3)
    losses = logo(given).losses
    first_BD, second_BD = (unit(z_1BD[0]) for z_1BD in embedded(logo.base, given).projected[2:])
    torch.manual_seed(3)
    torch.testing.assert_close(losses["affinity"], logo.affinity_loss(first_BD, second_BD), **EXACT)
    alike = (1 + logo.affinity(first_BD, second_BD).exp()).log().mean()
    torch.testing.assert_close(losses["apart"], alike, **EXACT)


@pytest.mark.parametrize("base", ["byol", "simsiam", "moco_v2", "vicreg", "swav", "dino"])
def test_what_draws_apart_reaches_the_encoder_at_exactly_its_share_of_the_length_of_the_rest(make, base):
    logo, given = make(base), batch(small_crops=2)
    rest, apart_alone = gradients_of(logo, given, "global"), gradients_of(logo, given, "apart")
    assert torch.equal(rest, gradients_of(logo, given, "global", "affinity"))
    logo.zero_grad()
    torch.manual_seed(7)
    logo.backward(logo(given).losses)
    added = gradients(logo.base) - rest
    assert float(added.norm() / rest.norm()) == pytest.approx(RATIO, rel=1e-9)
    cosine = added @ apart_alone / added.norm() / apart_alone.norm()
    assert float(cosine) == pytest.approx(1, abs=1e-9)


def test_the_affinity_learns_from_its_own_loss_alone_and_the_encoder_never_from_it(make):
    logo, given = make(), batch(small_crops=2)
    assert float(gradients_of(logo, given, "affinity").norm()) == 0
    own = gradients(logo.affinity)
    assert own.norm() > 0.01
    logo.zero_grad()
    torch.manual_seed(7)
    logo.backward(logo(given).losses)
    assert torch.equal(gradients(logo.affinity), own)


def test_where_nothing_draws_apart_the_rest_stays_as_it_is(make):
    logo, given = make(), batch(small_crops=2)
    logo.affinity.layers[-1].weight.data.zero_()
    rest = gradients_of(logo, given, "global")
    logo.zero_grad()
    logo.backward(logo(given).losses)
    assert torch.equal(gradients(logo.base), rest)


def test_drawing_apart_lowers_the_affinity_of_the_local_crops(make):
    """A step against `apart` alone, with the affinity as it is."""
    logo, given = make(), batch(small_crops=2)
    before = logo(given).losses["apart"].detach()
    direction = gradients_of(logo, given, "apart")
    start = 0
    with torch.no_grad():
        for parameter in logo.base.parameters():
            step = direction[start : start + parameter.numel()].view_as(parameter)
            parameter -= 1e-4 / direction.norm() * step
            start += parameter.numel()
    assert logo(given).losses["apart"] < before


# mode: public


@pytest.fixture
def public(make):
    """A function that gives LoGo in the mode of the authors' code."""
    return lambda base="byol", **changes: make(base, mode="public", **{"ratio": 0.015} | changes)


def take(logo: LoGo, step: int, given, optimizer: torch.optim.Optimizer) -> None:
    """A step as the training loop takes it."""
    torch.manual_seed(step)
    logo.prepare(Clock(step, 40, 4, 0.1))
    optimizer.zero_grad()
    logo.backward(logo(given).losses)
    optimizer.step()
    logo.update(Clock(step + 1, 40, 4, 0.1))


def optimizer_of(logo: LoGo) -> torch.optim.Optimizer:
    return torch.optim.SGD([p for p in logo.parameters() if p.requires_grad], 0.1, momentum=0.9)


def test_the_affinity_steps_first_then_the_encoder_against_it_then_all_crops_are_seen_anew(public, monkeypatch):
    logo, events = public(), []
    logo.base.networks.online.register_forward_pre_hook(lambda _, inputs: events.append(inputs[0].shape[-1]))
    for name, stepper in logo.optimizers.items():
        step = stepper.step
        monkeypatch.setattr(stepper, "step", lambda name=name, step=step: (events.append(name), step()))
    losses = logo(batch(small_crops=2)).losses
    assert events == [6, 6, "affinity", "encoder", 8, 8, 6, 6]
    assert set(losses) == {"global"}


def drawn(logo: LoGo, local: list[Tensor]) -> tuple[LoGo, dict[str, Tensor]]:
    """A copy of which the affinity has taken its step, and the gradient of what draws apart there."""
    logo = copy.deepcopy(logo)
    views = [logo.base.encode_online(view).global_BD[None] for view in local]
    first_BD, second_BD = (unit(logo.base.heads.project(global_1BC)[0]) for global_1BC in views)
    logo.affinity.requires_grad_(True)
    logo.step("affinity", logo.affinity_loss(first_BD.detach(), second_BD.detach()))
    logo.zero_grad()
    logo.affinity.requires_grad_(False)
    (1 + logo.affinity(first_BD, second_BD).exp()).log().mean().backward()
    return logo, {name: p.grad for name, p in logo.base.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("last", [0.5, 1e9], ids=["cut", "uncut"])
def test_the_gradient_of_the_encoders_own_step_is_cut_to_its_share_of_the_last_norm(public, last):
    logo, given = public(), batch(small_crops=2)
    logo.prepare(Clock(1, 40, 4, 0.1))
    logo.last_norm.fill_(last)
    torch.manual_seed(3)
    copied, gradient = drawn(logo, given.views[2:])
    before = {name: p.detach().clone() for name, p in logo.base.named_parameters()}
    torch.manual_seed(3)
    logo.push_apart(given.views[2:])
    length = torch.stack([g.norm() for g in gradient.values()]).norm()
    share = min(1.0, 0.015 * last / (float(length) + 1e-6))
    assert (share < 1) == (last == 0.5)
    assert not any("predictor" in name or "target" in name for name in gradient)
    for name, parameter in logo.base.named_parameters():
        decayed = 1e-4 * before[name] if parameter.ndim > 1 else 0
        moved = 0.1 * (share * gradient[name] + decayed) if name in gradient else 0
        torch.testing.assert_close(parameter.detach(), before[name] - moved, **EXACT)
    for own, expected in zip(logo.affinity.parameters(), copied.affinity.parameters(), strict=True):
        torch.testing.assert_close(own, expected, **EXACT)


def test_the_first_step_of_an_epoch_moves_the_encoder_by_weight_decay_and_momentum_alone(public):
    logo, given = public(), batch(small_crops=2)
    optimizer = optimizer_of(logo)
    for step in range(4):
        take(logo, step, given, optimizer)
        assert logo.last_norm > 0
    logo.prepare(Clock(4, 40, 4, 0.1))
    assert logo.last_norm == 0
    state = logo.optimizers["encoder"].state
    before = {name: p.detach().clone() for name, p in logo.base.named_parameters()}
    momentum = {name: state[p]["momentum_buffer"].clone() for name, p in logo.base.named_parameters() if p in state}
    assert all(buffer.norm() > 0 for buffer in momentum.values())
    logo.push_apart(given.views[2:])
    for name, parameter in logo.base.named_parameters():
        decayed = 1e-4 * before[name] if parameter.ndim > 1 else 0
        moved = 0.1 * (0.9 * momentum[name] + decayed) if name in momentum else 0
        torch.testing.assert_close(parameter.detach(), before[name] - moved, **EXACT)


def author_sgd(parameters, gradients, velocities, rate: float) -> None:
    """A step of SGD with momentum and weight decay, written out."""
    for parameter, gradient, velocity in zip(parameters, gradients, velocities, strict=True):
        velocity.mul_(0.9).add_(gradient + 1e-4 * parameter)
        parameter.sub_(rate * velocity)


@pytest.mark.parametrize("ratio", [0.015, 0.5])
def test_twelve_steps_move_the_weights_as_the_authors_two_optimizers_do(public, ratio):
    """MoCo-LoGo's iteration (`docs/methods.md` A.14), each gradient by itself and each update written out."""
    logo = public("moco_v2", ratio=ratio).double()
    copied, given = copy.deepcopy(logo), batch(small_crops=2)
    given = given._replace(views=[view.double() for view in given.views])
    encoder = [p for p in copied.base.parameters() if p.requires_grad]
    affinity = [*copied.affinity.parameters()]
    velocities = {name: [torch.zeros_like(p) for p in encoder] for name in ("apart", "align")}
    velocities["affinity"] = [torch.zeros_like(p) for p in affinity]
    optimizer = torch.optim.SGD([p for p in logo.parameters() if p.requires_grad], 0.1, momentum=0.9, weight_decay=1e-4)
    start, norm = [p.detach().clone() for p in encoder], torch.zeros(())

    for step in range(12):
        take(logo, step, given, optimizer)

        torch.manual_seed(step)
        copied.base.prepare(Clock(step, 40, 4, 0.1))
        norm = norm if step % 4 else torch.zeros(())
        views = [copied.base.encode_online(view).global_BD[None] for view in given.views[2:]]
        first_BD, second_BD = (unit(copied.base.heads.project(global_1BC)[0]) for global_1BC in views)
        copied.affinity.requires_grad_(True)
        omega = copied.affinity_loss(first_BD.detach(), second_BD.detach())
        by_affinity = torch.autograd.grad(omega, affinity)
        copied.affinity.requires_grad_(False)
        with torch.no_grad():
            author_sgd(affinity, by_affinity, velocities["affinity"], 0.03)

        apart_loss = (1 + copied.affinity(first_BD, second_BD).exp()).log().mean()
        repelling = torch.autograd.grad(apart_loss, encoder, materialize_grads=True, allow_unused=True)
        length = torch.stack([gradient.norm() for gradient in repelling]).norm()
        share = min(1.0, float(ratio * norm / (length + 1e-6)))
        with torch.no_grad():
            author_sgd(encoder, [share * gradient for gradient in repelling], velocities["apart"], 0.1)

        loss = sum(copied.align(copied.base.embed_global(copied.base.encode(given.views))).values())
        aligning = torch.autograd.grad(loss, encoder)
        norm = torch.stack([gradient.norm() for gradient in aligning]).norm()
        with torch.no_grad():
            author_sgd(encoder, aligning, velocities["align"], 0.1)
        copied.base.update(Clock(step + 1, 40, 4, 0.1))

    change = [(p - old).norm() for p, old in zip(encoder, start, strict=True)]
    assert min(change) > 1e-4
    trained = [p for p in logo.base.parameters() if p.requires_grad]
    for own, expected in zip(trained, encoder, strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-9, atol=1e-11)


def test_the_last_norm_is_that_of_the_gradient_that_aligns(public):
    logo, given = public(), batch(small_crops=2)
    logo.backward(logo(given).losses)
    torch.testing.assert_close(logo.last_norm.double(), gradients(logo.base).norm(), **EXACT)


def test_the_runs_optimizer_does_not_train_the_affinity(public):
    logo = public()
    assert not any(parameter.requires_grad for parameter in logo.affinity.parameters())
    before = copy.deepcopy(logo.affinity.state_dict())
    logo(batch(small_crops=2))
    assert not all(torch.equal(before[name], value) for name, value in logo.affinity.state_dict().items())


def test_the_affinitys_learning_rate_is_its_own_and_the_encoders_that_of_the_run(public):
    logo = public(learning_rate=0.02)
    for step, rate in ((0, 0.3), (5, 0.1)):
        logo.prepare(Clock(step, 40, 4, rate))
        rates = {name: stepper.param_groups[0]["lr"] for name, stepper in logo.optimizers.items()}
        assert rates == {"affinity": 0.02, "encoder": rate}


def test_the_optimizers_go_on_from_a_saved_state(public):
    first, given, stream = public(), batch(small_crops=2), io.BytesIO()
    optimizer = optimizer_of(first)
    for step in range(3):
        take(first, step, given, optimizer)
    torch.save({"method": first.state_dict(), "optimizer": optimizer.state_dict()}, stream)
    second, state = public(), torch.load(io.BytesIO(stream.getvalue()), weights_only=True)
    again = optimizer_of(second)
    second.load_state_dict(state["method"])
    again.load_state_dict(state["optimizer"])
    for logo, own in ((first, optimizer), (second, again)):
        for step in range(3, 6):
            take(logo, step, given, own)
    for (name, one), other in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert name.endswith("_extra_state") or torch.equal(one, other), name


def test_a_local_crop_larger_than_the_image_is_refused_by_the_name_of_the_key(small):
    options = LoGoConfig(**OPTIONS).model_dump() | {"size": 9}
    with pytest.raises(ValueError, match=r"modifier\.size: a crop of 9 is larger than the image, of 8"):
        Run.model_validate(small.runs["byol"].model_dump() | {"modifier": options})


def test_the_public_mode_without_local_to_local_is_refused_with_what_to_take(small):
    options = OPTIONS | {"view": SMALL.model_dump(), "mode": "public", "local_to_local": False}
    with pytest.raises(ValueError, match=r"local_to_local: mode public takes true; .* use mode ratio"):
        Run.model_validate(small.runs["byol"].model_dump() | {"modifier": options})
