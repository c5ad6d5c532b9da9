"""The detector: its shapes, its losses against worked values, what of it is learnt."""

import pytest
import torch

from tests.whole_in_parts.models.backbones.examples import LARGE, SMALL, alexnet, bagnet, resnet, rf_resnet
from whole_in_parts.config.tasks.detection import DetectionConfig
from whole_in_parts.evaluation.detection.model import MASK_CHANNELS, Detector, Proposals, box_loss
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import build_backbone

TWO = resnet("basic", [1, 1], [2, 2], SMALL, width=16)


def detector(options=TWO, classes: int = 3, **more) -> Detector:
    torch.manual_seed(0)
    task = DetectionConfig(name="detection", steps=1, **({"anchors": (8, 16), "regions": 16} | more))
    return Detector(build_backbone(options).eval().requires_grad_(False), classes, task)


def target(*boxes: list[float], side: int = 32) -> dict[str, torch.Tensor]:
    masks_OHW = torch.zeros(len(boxes), side, side, dtype=torch.uint8)
    for mask_HW, (left, top, right, bottom) in zip(masks_OHW, boxes, strict=True):
        mask_HW[top:bottom, left:right] = 1
    labels = torch.arange(1, len(boxes) + 1)
    return {"boxes": torch.tensor(boxes, dtype=torch.float32).view(-1, 4), "labels": labels, "masks": masks_OHW}


@pytest.mark.parametrize(
    ("options", "stride"),
    [
        (resnet("bottleneck", [1, 1, 1, 1], [1, 2, 2, 2], LARGE, width=4), 16),
        (rf_resnet("basic", [3, 3, 3], [1, 2, 2], SMALL, width=4), 2),
        (TWO, 2),
    ],
)
def test_the_map_is_that_of_the_last_but_one_stage_at_its_stride(options, stride):
    model = detector(options).eval()
    assert model.stride == stride
    images_BCHW = torch.rand(2, 3, 64, 96)
    whole = build_backbone(options).eval()
    whole.load_state_dict(model.body.state_dict(), strict=False)
    map_BCHW = model.body.maps(model.body.normalised(images_BCHW))[-1]
    assert map_BCHW.shape == (2, whole.widths[-2], 64 // stride, 96 // stride)
    torch.testing.assert_close(map_BCHW, whole(images_BCHW).maps[-2])


def test_images_of_several_shapes_make_one_batch_with_zeros_where_there_is_no_image():
    model = detector(resnet("basic", [1, 1, 1, 1], [1, 2, 2, 2], LARGE, width=4))
    images = [torch.rand(3, 40, 60), torch.rand(3, 50, 33)]
    batch = model.collate(images)
    assert batch.tensors.shape == (2, 3, 64, 64)
    assert batch.image_sizes == [(40, 60), (50, 33)]
    torch.testing.assert_close(batch.tensors[1, :, :50, :33], model.body.normalised(images[1][None])[0])
    assert not batch.tensors[0, :, 40:].any()
    assert not batch.tensors[1, :, :, 33:].any()


def test_in_bfloat16_the_stages_compute_in_it_and_losses_are_float32_and_near():
    images, targets = [torch.rand(3, 32, 32)], [target([2, 3, 20, 21])]
    losses = []
    for precision in ("float32", "bfloat16"):
        model = detector(precision=precision).train()
        seen = set()
        for stage in (model.body, model.heads.stage):
            for layer in (module for module in stage.modules() if isinstance(module, torch.nn.Conv2d)):
                layer.register_forward_hook(lambda *given, seen=seen: seen.add(given[2].dtype))
        losses.append(model(images, targets, [1])[1])
        assert seen == {getattr(torch, precision)}
    assert {loss.dtype for loss in losses[1].values()} == {torch.float32}
    for name in ("class", "loss_objectness"):
        torch.testing.assert_close(losses[1][name], losses[0][name], rtol=0.2, atol=0)


@pytest.mark.parametrize("masks", [False, True])
def test_training_gives_losses_and_evaluation_boxes_labels_scores_and_masks(masks):
    model = detector(masks=masks).train()
    images = [torch.rand(3, 32, 32), torch.rand(3, 24, 40)]
    targets = [target([2, 3, 20, 21], [5, 5, 15, 30]), target([1, 1, 12, 13])]
    _, losses = model(images, targets)
    assert set(losses) == {"loss_objectness", "loss_rpn_box_reg", "class", "box"} | ({"mask"} if masks else set())
    assert all(loss.isfinite() for loss in losses.values())
    with torch.no_grad():
        found, nothing = model.eval()(images)
    assert nothing == {}
    for image, each in zip(images, found, strict=True):
        detections = len(each["labels"])
        assert each["boxes"].shape == (detections, 4)
        assert each["scores"].shape == (detections,)
        assert each["boxes"][:, 2].max() <= image.shape[2]
        assert set(each["labels"].tolist()) <= {1, 2, 3}
        if masks:
            assert each["masks"].shape == (detections, 1, 14, 14)


def test_a_map_of_a_region_is_14_wide_and_7_after_the_last_stage_whatever_its_box():
    model = detector(masks=True)
    map_BCHW = torch.rand(1, 16, 16, 16)
    regions_RDNN = model.heads.region_features(map_BCHW, [torch.tensor([[0.0, 0, 32, 32], [3.0, 4, 5, 30]])])
    assert regions_RDNN.shape == (2, 32, 7, 7)
    logits_RK, offsets_RX = model.heads.predict(regions_RDNN)
    assert (logits_RK.shape, offsets_RX.shape) == ((2, 4), (2, 16))
    assert model.heads.painter(regions_RDNN).shape == (2, 4, 14, 14)
    assert model.heads.painter[0].out_channels == MASK_CHANNELS


def test_a_region_that_is_the_whole_map_is_pooled_without_a_shift():
    model = detector()
    map_1CHW = torch.arange(14.0).view(1, 1, 1, 14).expand(1, 16, 14, 14).contiguous()
    model.heads.stage = torch.nn.Identity()
    regions_RDNN = model.heads.region_features(map_1CHW, [torch.tensor([[0.0, 0, 28, 28]])])
    torch.testing.assert_close(regions_RDNN, map_1CHW)


def test_the_loss_of_boxes_is_a_plain_l1_over_all_regions():
    offsets_RX = torch.zeros(3, 8)
    offsets_RX[0, 4:] = torch.tensor([0.05, -0.5, 2.0, 0.0])
    offsets_RX[0, :4] = 99.0
    offsets_RX[2, 4:] = 99.0
    wanted_R4 = torch.tensor([[0.0] * 4, [1.0] * 4, [5.0] * 4])
    loss = box_loss(offsets_RX, wanted_R4, torch.tensor([1, 1, 0]))
    torch.testing.assert_close(loss, torch.tensor((0.05 + 0.5 + 2.0 + 4.0) / 3))


def test_the_loss_of_proposals_is_a_plain_l1_and_a_cross_entropy_over_all_anchors_that_are_drawn():
    proposals = Proposals(4, (8,))
    labels_A = torch.tensor([1.0, 0.0, -1.0, 0.0])
    deltas_A4, wanted_A4 = torch.zeros(4, 4), torch.full((4, 4), 7.0)
    deltas_A4[0], wanted_A4[0] = torch.tensor([0.02, 0.0, -3.0, 1.0]), torch.tensor([0.0, 0.0, 0.0, 0.0])
    logits_A1 = torch.tensor([[0.0], [0.0], [50.0], [0.0]])
    objectness, box = proposals.compute_loss(logits_A1, deltas_A4, [labels_A], [wanted_A4])
    torch.testing.assert_close(box, torch.tensor(4.02 / 3))
    torch.testing.assert_close(objectness, torch.tensor(2.0).log())


def test_limits_of_proposals_and_detections_are_the_papers():
    model = detector()
    limits = [(model.train().proposals.pre_nms_top_n(), model.proposals.post_nms_top_n())]
    limits += [(model.eval().proposals.pre_nms_top_n(), model.proposals.post_nms_top_n())]
    assert limits == [(12000, 2000), (6000, 1000)]
    assert (model.heads.score_thresh, model.heads.nms_thresh, model.heads.detections_per_img) == (0.05, 0.5, 100)


def test_all_layers_learn_and_the_backbone_that_was_given_does_not():
    backbone = build_backbone(TWO).eval().requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    task = DetectionConfig(name="detection", steps=1, anchors=(8, 16), regions=16, masks=True)
    model = Detector(backbone, 3, task).train()
    _, losses = model([torch.rand(3, 32, 32)], [target([2, 3, 20, 21])])
    sum(losses.values()).backward()
    assert not [name for name, parameter in model.named_parameters() if parameter.grad is None]
    torch.testing.assert_close(backbone.state_dict(), before, rtol=0, atol=0)
    assert not any(parameter.requires_grad for parameter in backbone.parameters())


def test_an_image_without_objects_teaches_what_no_object_is():
    _, losses = detector(masks=True).train()([torch.rand(3, 32, 32)], [target()])
    assert losses["class"] > 0
    assert losses["mask"] == losses["box"] == losses["loss_rpn_box_reg"] == 0


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (alexnet(width=16, features=32), "alexnet"),
        (bagnet([1, 1], [2, 1], width=8), "bagnet"),
        (resnet("basic", [1], [1], SMALL, width=8), "resnet"),
    ],
)
def test_a_backbone_without_stages_is_refused_by_its_name(options, name):
    with pytest.raises(Failure, match=f"resnet and rf_resnet with two stages or more, and the run has {name}"):
        detector(options)
