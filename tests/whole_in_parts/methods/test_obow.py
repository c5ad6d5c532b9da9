"""OBoW against its definition, in loops over images, positions and words; what its words are and when they change."""

import math

import pytest
import torch
from torch import Tensor

from tests.every_method import METHODS, SMALL, VIEW
from tests.whole_in_parts.methods.examples import EXACT, apart, made, vectors
from tests.whole_in_parts.models.backbones import examples
from whole_in_parts.augment.views import Batch
from whole_in_parts.config.runs import Run
from whole_in_parts.methods.base import build_method
from whole_in_parts.methods.obow import LEVELS, OBoW, Vocabulary
from whole_in_parts.models.backbone import build_backbone
from whole_in_parts.schedules import Clock

IMAGES, WORDS, INVERSE_DELTA, KAPPA = 6, 12, 3.0, 5.0
KINDS = [{"count": 1, "size": 8, "view": VIEW}, {"count": 2, "size": 6, "view": SMALL}]
SIDES = [2, 3, 4, 5, 8]


@pytest.fixture
def obow(small) -> OBoW:
    method = made(small, "obow", crops=KINDS, queue=WORDS, inverse_delta=INVERSE_DELTA, kappa=KAPPA)
    apart(method)
    return method


@pytest.fixture
def vocabulary(obow) -> Vocabulary:
    """The words of the last map, of 32 channels."""
    return obow.vocabularies[1]


def batch(images: int = IMAGES) -> Batch:
    """The teacher's view and the student's three crops."""
    views = [torch.rand(images, 1, size, size, dtype=torch.float64) for size in (8, 8, 6, 6)]
    return Batch(views, [], [], torch.zeros(images, dtype=torch.long))


def inner(map_BCNN: Tensor) -> Tensor:
    """The map without its border, where a 3×3 window is left then."""
    side = map_BCNN.shape[-1]
    return map_BCNN[:, :, 1 : side - 1, 1 : side - 1] if side >= 5 else map_BCNN


def distances(words_KC: Tensor, map_BCNN: Tensor) -> list[list[list[float]]]:
    """The squared distance of each image's positions to each word."""
    return [
        [[float(sum((x - w) ** 2 for x, w in zip(x_C, w_C, strict=True))) for w_C in words_KC] for x_C in image_CP.T]
        for image_CP in inner(map_BCNN).flatten(2)
    ]


def mean_nearest(found: list[list[list[float]]]) -> float:
    nearest = [min(of_position) for of_image in found for of_position in of_image]
    return sum(nearest) / len(nearest)


def bags(words_KC: Tensor, map_BCNN: Tensor, average: float) -> list[list[float]]:
    """The bag of each image, with the average distance as it was before the batch."""
    found = distances(words_KC, map_BCNN)
    average = 0.99 * average + 0.01 * mean_nearest(found)
    all_bags = []
    for of_image in found:
        most = [0.0] * len(words_KC)
        for of_position in of_image:
            exponentials = [math.exp(-INVERSE_DELTA * distance / average) for distance in of_position]
            shares = [exponential / sum(exponentials) for exponential in exponentials]
            most = [max(pair) for pair in zip(most, shares, strict=True)]
        all_bags.append([share / sum(most) for share in most])
    return all_bags


def generated(vocabulary: Vocabulary) -> Tensor:
    """The weights of the words: of a unit vector, by two layers with batch norm over the words, to a unit vector."""
    first, norm, _, last = vocabulary.generator[1]
    hidden_KH = torch.stack([first.weight @ (word_C / word_C.norm()) for word_C in vocabulary.queue.vectors_KD])
    variance_H = (hidden_KH - hidden_KH.mean(0)).square().mean(0)
    hidden_KH = norm.weight * (hidden_KH - hidden_KH.mean(0)) / (variance_H + norm.eps).sqrt() + norm.bias
    weights = [last.weight @ hidden_H.clamp(min=0) + last.bias for hidden_H in hidden_KH]
    return torch.stack([weight_F / weight_F.norm() for weight_F in weights])


def crop_loss(global_BF: Tensor, weights_KF: Tensor, of_images: list[list[float]]) -> Tensor:
    """The cross-entropy of the bags and their prediction from one crop by the words of one map, a mean over images."""
    terms = []
    for h_F, bag in zip(global_BF, of_images, strict=True):
        logits = [KAPPA * (h_F * weight_F).sum() for weight_F in weights_KF]
        total = torch.stack([logit.exp() for logit in logits]).sum()
        terms += [-share * (logit - total.log()) for share, logit in zip(bag, logits, strict=True)]
    return torch.stack(terms).sum() / len(global_BF)


def test_the_loss_is_the_sum_over_kinds_of_crops_of_the_mean_over_crops_and_maps(obow):
    given = batch()
    maps = obow.networks.target(given.views[0]).maps[-2:]
    of_maps = [bags(words.queue.vectors_KD, seen, 0.5) for words, seen in zip(obow.vocabularies, maps, strict=True)]
    large, *small_crops = (obow.networks.online(view).global_BD for view in given.views[1:])
    expected = 0
    for words, of_images in zip(obow.vocabularies, of_maps, strict=True):
        weights_KF = generated(words)
        small_terms = [crop_loss(global_BF, weights_KF, of_images) for global_BF in small_crops]
        expected = expected + (crop_loss(large, weights_KF, of_images) + sum(small_terms) / 2) / 2
    torch.testing.assert_close(obow(given).losses["bags"], expected, **EXACT)


@pytest.mark.parametrize("side", SIDES)
def test_a_bag_is_the_maximum_over_positions_of_the_soft_assignments_with_a_sum_of_one(vocabulary, side):
    map_BCNN = 0.3 * vectors(IMAGES, 32, side, side)
    vocabulary.distance.fill_(20)
    bag_BK = vocabulary.bag(map_BCNN)
    expected = bags(vocabulary.queue.vectors_KD, map_BCNN, 20)
    torch.testing.assert_close(bag_BK, torch.tensor(expected, dtype=torch.float64), **EXACT)
    torch.testing.assert_close(bag_BK.sum(1), torch.ones(IMAGES, dtype=torch.float64), **EXACT)
    assert bag_BK.std() > 0.001


def test_a_position_that_is_a_word_is_assigned_to_it_if_it_is_near_to_no_other(vocabulary):
    words_KC = vocabulary.queue.vectors_KD.copy_(10 * torch.eye(WORDS, 32))
    chosen = torch.tensor([[0, 0, 0, 0], [3, 5, 5, 3]])
    map_BCNN = words_KC[chosen].permute(0, 2, 1).unflatten(2, (2, 2))
    expected = torch.zeros(2, WORDS, dtype=torch.float64)
    expected[0, 0], expected[1, 3], expected[1, 5] = 1, 0.5, 0.5
    torch.testing.assert_close(vocabulary.bag(map_BCNN), expected, **EXACT)


def test_the_average_distance_moves_a_hundredth_of_the_way_after_the_step_by_the_mean_over_its_pieces(vocabulary):
    maps = [vectors(IMAGES, 32, 4, 4) for _ in range(2)]
    found = [mean_nearest(distances(vocabulary.queue.vectors_KD, each)) for each in maps]
    for each in maps:
        vocabulary.bag(each)
    assert float(vocabulary.distance) == 0.5
    vocabulary.update(Clock(1, 4, 4))
    assert float(vocabulary.distance) == pytest.approx(0.99 * 0.5 + 0.01 * sum(found) / 2, rel=1e-10)


def test_where_all_is_one_vector_the_bag_is_finite(vocabulary):
    vocabulary.queue.vectors_KD.fill_(0.1)
    vocabulary.distance.zero_()
    bag_BK = vocabulary.bag(torch.full((2, 32, 4, 4), 0.1, dtype=torch.float64))
    torch.testing.assert_close(bag_BK.sum(1), torch.ones(2, dtype=torch.float64))


def windows(map_CNN: Tensor) -> Tensor:
    """The means (P, C) of all windows of 3×3 positions, or of a smaller map."""
    side = map_CNN.shape[-1]
    wide = min(3, side)
    steps = range(side - wide + 1)
    return torch.stack([map_CNN[:, y : y + wide, x : x + wide].mean((1, 2)) for y in steps for x in steps])


@pytest.mark.parametrize("side", SIDES)
def test_a_word_is_the_mean_of_a_window_of_its_image_away_from_the_border_and_any_window_may_be_drawn(vocabulary, side):
    map_BCNN = vectors(IMAGES, 32, side, side)
    places = torch.stack([windows(map_CNN) for map_CNN in inner(map_BCNN)], 1)
    drawn = set()
    for seed in range(60):
        torch.manual_seed(seed)
        vocabulary.bag(map_BCNN)
        word_BC = vocabulary.queue.pending.pop()[0]
        vocabulary.batch_distances.clear()
        same_PB = (places - word_BC).abs().amax(2) < 1e-12
        assert same_PB.sum(0).tolist() == [1] * IMAGES
        drawn.add(tuple(same_PB.byte().argmax(0).tolist()))
    assert {place for places in drawn for place in places} == set(range(len(places)))
    assert len(drawn) > 50 or len(places) == 1


def test_the_same_seed_draws_the_same_windows_and_each_map_and_piece_its_own(obow):
    map_BCNN = vectors(IMAGES, 32, 8, 8)
    first, second = obow.vocabularies[1], obow.vocabularies[0]
    torch.manual_seed(5)
    words_BC = first.draw(map_BCNN)
    torch.rand(3)
    assert torch.equal(first.draw(map_BCNN), words_BC)
    assert not torch.equal(second.draw(map_BCNN), words_BC)
    first.batch_distances.append(torch.zeros(()))
    assert not torch.equal(first.draw(map_BCNN), words_BC)


def test_the_words_of_a_step_enter_when_it_is_done_in_the_order_of_the_images_and_the_oldest_leave(obow):
    words = obow.vocabularies[1].queue
    before = words.vectors_KD.clone()
    entered = []
    for step in range(1, 4):
        obow(batch(5))
        assert torch.equal(words.vectors_KD[5 * (step - 1) : 12], before[5 * (step - 1) : 12])
        entered.append(words.pending[0][0])
        obow.update(Clock(step, 4, 4))
    assert torch.equal(words.vectors_KD, torch.cat([entered[2][2:], entered[0][3:], entered[1], entered[2][:2]]))


def test_the_teacher_sees_the_first_view_alone_and_the_student_learns_from_the_crops_alone(obow):
    given, seen = batch(), {"online": [], "target": []}
    for network, views in seen.items():
        getattr(obow.networks, network).register_forward_pre_hook(
            lambda _, inputs, views=views: views.append(inputs[0])
        )
    features = obow(given).features["global"]
    assert [id(view) for view in seen["target"]] == [id(given.views[0])]
    assert [id(view) for view in seen["online"]] == [id(view) for view in [*given.views[1:], given.views[0]]]

    assert all(module.training for module in obow.modules())
    assert int(obow.backbone.bn1.num_batches_tracked) == 3
    assert torch.equal(features, obow.backbone.eval()(given.views[0]).global_BD.float())


def test_the_crops_are_the_first_view_at_the_image_size_and_then_the_kinds(obow):
    crops = obow.crops([VIEW, SMALL], 8)
    assert [(crop.recipe, crop.size) for crop in crops] == [(VIEW, 8), (VIEW, 8), (SMALL, 6), (SMALL, 6)]


def test_the_gradient_reaches_the_student_and_the_generators_and_neither_teacher_nor_words(obow):
    obow.backward(obow(batch()).losses)
    for name, parameter in obow.named_parameters():
        assert (parameter.grad is None) == (".target." in name), name
        assert parameter.grad is None or parameter.grad.norm() > 0, name
    assert not any(words.queue.vectors_KD.requires_grad for words in obow.vocabularies)
    assert obow.backbone is obow.networks.online


def test_the_teacher_follows_the_student_after_the_step(obow):
    before = [parameter.clone() for parameter in obow.networks.target.parameters()]
    obow(batch())
    obow.update(Clock(2, 4, 4))
    online = obow.networks.online.parameters()
    for old, student, new in zip(before, online, obow.networks.target.parameters(), strict=True):
        torch.testing.assert_close(new, 0.95 * old + 0.05 * student, **EXACT)


def test_a_student_that_says_nothing_costs_the_logarithm_of_the_number_of_words(obow):
    given = batch()
    maps = obow.networks.target(given.views[0]).maps[-2:]
    of_maps = [words.bag(seen) for words, seen in zip(obow.vocabularies, maps, strict=True)]
    weights = [words.weights() for words in obow.vocabularies]
    loss = obow.predict(torch.zeros(2, IMAGES, 32, dtype=torch.float64), weights, of_maps)
    assert float(loss.detach()) == pytest.approx(math.log(WORDS), rel=1e-12)


@pytest.mark.parametrize("name", [name for name in examples.TINY if name != "rf_resnet v0"])
def test_every_backbone_of_two_maps_or_more_takes_a_step(name):
    size = 32
    crops = [{"count": 1, "size": size, "view": SMALL}]
    options = METHODS["obow"].model_validate(METHODS["obow"].model_dump() | {"crops": crops, "queue": WORDS})
    assert options.incompatibility(examples.TINY[name]) is None
    method = build_method(options, build_backbone(examples.TINY[name]), 10, size)
    views = [torch.rand(4, 3, size, size) for _ in range(2)]
    method.backward(method(Batch(views, [], [], torch.zeros(4))).losses)
    method.update(Clock(1, 4, 4))
    for words, width in zip(method.vocabularies, method.backbone.widths[-LEVELS:], strict=True):
        assert words.queue.vectors_KD.shape == (WORDS, width)
        assert words.queue.vectors_KD.isfinite().all()
    assert all(parameter.grad is not None for parameter in method.parameters() if parameter.requires_grad)


def refused(small, **method: object) -> dict:
    """A run of the small study with these options of the method."""
    return small.runs["byol"].model_dump() | {"method": METHODS["obow"].model_dump() | method}


def test_a_backbone_of_one_stage_is_refused_by_the_name_of_the_key(small):
    run = refused(small)
    run["backbone"] |= {"blocks": [1], "strides": [1]}
    with pytest.raises(ValueError, match=r"backbone\.blocks: obow takes words from the last 2 maps, and there is one"):
        Run.model_validate(run)


def test_a_transformer_of_one_block_is_refused():
    vit = examples.timm("vit_tiny_patch16_224", **examples.VIT | {"depth": 1})
    with pytest.raises(ValueError, match="backbone: obow takes words from the last 2 maps, and this one has one map"):
        build_method(METHODS["obow"], build_backbone(vit), 10, 32)


def test_a_crop_that_the_backbone_does_not_take_is_refused_before_the_training():
    with pytest.raises(ValueError, match=r"alexnet is built for 32 px and cannot take images of"):
        build_method(METHODS["obow"], build_backbone(examples.TINY["alexnet"]), 10, 32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crops": [KINDS[0] | {"size": 9}]}, r"method\.crops\.0\.size: a crop of 9 is larger than the image, of 8"),
        ({"queue": 100}, r"method\.queue: 100 is not divisible by 64, the embeddings that enter it in a step"),
        ({"crops": []}, r"crops"),
    ],
)
def test_crops_that_are_too_large_or_none_and_a_queue_that_batches_do_not_fill_are_refused(small, changes, message):
    with pytest.raises(ValueError, match=message):
        Run.model_validate(refused(small, **changes))
