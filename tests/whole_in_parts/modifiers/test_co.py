import pytest
import torch
from torch import Tensor

from tests.every_method import CO_BASES, METHODS
from whole_in_parts.augment.views import Batch
from whole_in_parts.config.modifiers.co import COConfig
from whole_in_parts.config.modifiers.none import NoModifierConfig
from whole_in_parts.config.runs import Run
from whole_in_parts.models.backbone import Representations
from whole_in_parts.schedules import Clock
from whole_in_parts.training.building import build

LABELS = torch.zeros(6)


@pytest.fixture
def make(small):
    """A function that gives a method with CO, or with no modifier; the seed is the same each time."""

    def made(method: str, weight: float | None, run: str = "byol", **changes):
        backbone = changes.pop("backbone", {})
        modifier = NoModifierConfig(name="none") if weight is None else COConfig(name="co", weight=weight, **changes)
        options: Run = small.runs[run]
        network = options.backbone.model_copy(update=backbone)
        update = {"method": METHODS[method], "modifier": modifier, "backbone": network}
        return build(options.model_copy(update=update), 10)

    return made


def batch(size: int = 8, kind: torch.dtype = torch.float32) -> Batch:
    return Batch([torch.rand(6, 1, size, size, dtype=kind) for _ in range(2)], [], [], LABELS)


@pytest.mark.parametrize("method", CO_BASES)
@pytest.mark.parametrize("run", ["byol", "co_byol"], ids=["resnet", "rf_resnet"])
def test_co_of_weight_zero_is_its_base_to_the_bit(make, method, run):
    base, co, given = make(method, None, run), make(method, 0.0, run), batch()
    totals = [sum(method(given).losses.values()) for method in (base, co)]
    assert totals[0] == totals[1]
    for total in totals:
        total.backward()
    gradients = {name: parameter.grad for name, parameter in co.base.named_parameters()}
    for name, parameter in base.named_parameters():
        assert (parameter.grad is None) == (gradients[name] is None)
        assert parameter.grad is None or torch.equal(parameter.grad, gradients[name])


@pytest.mark.parametrize("method", CO_BASES)
@pytest.mark.parametrize("weight", [0.2, 0.5])
def test_with_one_position_and_shared_heads_the_local_term_is_twice_its_weight_of_the_global_one(make, method, weight):
    """Local and global representation are then one, and each direction has two local terms."""
    co = make(method, weight, shared_heads=True, backbone={"strides": [2, 2, 2]}).double()
    losses = co(batch(kind=torch.float64)).losses
    torch.testing.assert_close(losses["local"], 2 * weight * losses["global"])


def test_the_local_term_is_the_mean_over_positions_of_both_kinds_in_both_directions(make):
    """Equation 3 of the paper, written out by position, with its heads as 1×1 convolutions."""
    co, given = make("byol", 0.2, "co_byol").double(), batch(kind=torch.float64)
    base, heads = co.base, co.local_heads

    def convolved(head, local_BCNN: Tensor) -> Tensor:
        first, norm, _, last = head
        x_BCNN = torch.conv2d(local_BCNN, first.weight[:, :, None, None], first.bias)
        x_BCNN = torch.nn.functional.batch_norm(x_BCNN, None, None, norm.weight, norm.bias, training=True)
        return torch.conv2d(x_BCNN.relu(), last.weight[:, :, None, None], last.bias)

    def cosine(x_BD: Tensor, y_BD: Tensor) -> Tensor:
        return (x_BD * y_BD).sum(1) / x_BD.norm(dim=1) / y_BD.norm(dim=1)

    encoded = base.encode(given.views)
    expected = 0
    for first, second in ((0, 1), (1, 0)):
        online, target = encoded.online[first], encoded.target[second]
        p_1BD = base.heads.predict(base.heads.project(online.global_BD[None]))
        p_BD, z_BD = p_1BD[0], base.heads.target(target.global_BD[None])[0]
        p_BDNN = convolved(heads.predictor, convolved(heads.projector.online, online.local_BCNN))
        z_BDNN = convolved(heads.projector.target, target.local_BCNN)
        positions = [(row, column) for row in range(4) for column in range(4)]
        assert p_BDNN.shape[2:] == z_BDNN.shape[2:] == (4, 4)
        for row, column in positions:
            both_B = cosine(p_BDNN[:, :, row, column], z_BD) + cosine(p_BD, z_BDNN[:, :, row, column])
            expected -= 2 * both_B.mean() / len(positions)
    torch.testing.assert_close(co(given).losses["local"], 0.2 * expected)


def test_shared_heads_add_no_parameter_and_own_heads_are_of_the_shapes_of_the_base(make):
    def shapes(module) -> list[tuple[int, ...]]:
        return [tuple(parameter.shape) for parameter in module.parameters()]

    base, shared, own = make("byol", None), make("byol", 0.2, shared_heads=True), make("byol", 0.2)
    assert shapes(shared) == shapes(base)
    assert shapes(own) == shapes(base) + shapes(own.local_heads)
    assert shapes(own.local_heads) == shapes(base.heads)


@pytest.mark.parametrize("shared", [True, False])
def test_the_target_of_each_head_moves_once(make, shared):
    co = make("byol", 0.2, shared_heads=shared)
    with torch.no_grad():
        for parameter in co.parameters():
            if parameter.requires_grad:
                parameter += 1
    co.update(Clock(0, 1, 1))  # the momentum is 0.9
    twins = [co.base.networks, co.base.heads.projector, co.local_heads.projector]
    for twin in twins:
        for target, online in zip(twin.target.parameters(), twin.online.parameters(), strict=True):
            torch.testing.assert_close(online - target, torch.full_like(target, 0.9))


@pytest.mark.parametrize(("asked", "positions"), [(0, 16), (1, 1), (2, 4), (3, 9), (4, 16)])
def test_map_size_takes_so_many_positions_of_the_map_as_they_are(make, asked, positions):
    co, local_BCNN = make("byol", 0.2, map_size=asked), torch.rand(5, 32, 4, 4)
    taken_PBC = co.positions(Representations((local_BCNN,), local_BCNN.mean((2, 3)), local_BCNN.mean((2, 3))))
    assert taken_PBC.shape == (positions, 5, 32)
    there = {tuple(local_BCNN[0, :, row, column].tolist()) for row in range(4) for column in range(4)}
    chosen = [tuple(position.tolist()) for position in taken_PBC[:, 0]]
    assert len(set(chosen)) == positions
    assert set(chosen) <= there


def test_a_map_size_larger_than_the_map_is_refused_by_the_name_of_the_key(make):
    with pytest.raises(ValueError, match=r"modifier\.map_size: 5 is larger than the map, which is 4 wide"):
        make("byol", 0.2, map_size=5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer": 4}, r"modifier\.layer: the backbone has the maps 1 to 3, and no 4"),
        ({"layer": 1, "map_size": 9}, r"modifier\.map_size: 9 is larger than the map, which is 8 wide"),
        (
            {"layer": 1, "shared_heads": True},
            r"modifier\.shared_heads: the heads take 32 features, and a position of this map has 8",
        ),
    ],
)
def test_a_map_that_is_not_there_or_does_not_fit_the_heads_is_refused_by_the_name_of_the_key(make, changes, message):
    with pytest.raises(ValueError, match=message):
        make("byol", 0.2, **changes)


@pytest.mark.parametrize(("layer", "width", "side"), [(0, 32, 4), (1, 8, 8), (2, 16, 4), (3, 32, 4)])
def test_the_layer_says_whose_positions_are_taken_and_its_width_is_that_of_the_heads(make, layer, width, side):
    co = make("byol", 0.2, layer=layer)
    view = co.base.encode_online(batch().views[0])
    taken_PBC = co.positions(view)
    assert taken_PBC.shape == (side**2, 6, width)
    assert torch.equal(taken_PBC, view.maps[layer - 1].flatten(2).permute(2, 0, 1))
    assert co.local_heads.projector.online[0].in_features == width


def test_resizing_by_the_mean_takes_the_means_of_parts_of_the_map(make):
    co, local_BCNN = make("byol", 0.2, map_size=2, resize="mean"), torch.rand(5, 32, 4, 4)
    taken_PBC = co.positions(Representations((local_BCNN,), local_BCNN.mean((2, 3)), local_BCNN.mean((2, 3))))
    parts = [local_BCNN[:, :, y : y + 2, x : x + 2].mean((2, 3)) for y in (0, 2) for x in (0, 2)]
    torch.testing.assert_close(taken_PBC, torch.stack(parts))


def widths(head: torch.nn.Module) -> list[int]:
    return [layer.out_features for layer in head.modules() if isinstance(layer, torch.nn.Linear)]


@pytest.mark.parametrize("method", CO_BASES)
def test_local_heads_may_have_hidden_layers_of_their_own_and_end_in_the_width_of_the_global_ones(make, method):
    co = make(method, 0.2, projector=[48, 24, 16])
    plain = make(method, 0.2)
    local = co.local_heads.projector
    assert widths(getattr(local, "online", local)) == [48, 24, 16]
    assert widths(co.base.heads) == widths(plain.base.heads)
    losses = co(batch()).losses
    sum(losses.values()).backward()
    assert losses["local"].isfinite()


def test_the_local_predictor_may_have_a_width_of_its_own(make):
    co = make("byol", 0.2, predictor=24)
    assert widths(co.local_heads.predictor) == [24, 16]
    assert widths(co.base.heads.predictor) == [32, 16]


@pytest.mark.parametrize(
    ("method", "changes", "message"),
    [
        (
            "byol",
            {"projector": [48, 8]},
            r"modifier\.projector: the local embeddings have 8 dimensions, .* method's 16",
        ),
        ("simclr", {"predictor": 24}, r"modifier\.predictor: the method simclr has no predictor; leave it out"),
        ("byol", {"projector": [48, 16], "shared_heads": True}, r"projector: shared heads are the method's own"),
    ],
)
def test_widths_that_cannot_be_are_refused_by_their_key(small, method, changes, message):
    modifier = {"name": "co", "weight": 0.2} | changes
    run = small.runs["byol"].model_dump() | {"method": METHODS[method].model_dump(), "modifier": modifier}
    with pytest.raises(ValueError, match=message):
        Run.model_validate(run)
