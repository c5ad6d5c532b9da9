"""Faster R-CNN (Ren et al., 2015, arXiv:1506.01497) on the last but one stage of a ResNet, and Mask R-CNN (He et al.,
2017, arXiv:1703.06870) on top of it: "R50-C4" as MoCo has it (He et al., 2020, arXiv:1911.05722, section 4.2;
`methods.md`, E.11), made of torchvision's parts.

All stages but the last give one map. On it a small network proposes boxes, each is cut out of the map as 14×14
positions by RoIAlign, and the last stage describes it, followed by a batch norm of its own. The mean of this tells the
class and the box; masks come from it before the mean. Unlike in torchvision, boxes are learnt by a plain L1 loss, and
both heads share the last stage. Layers that follow a backbone's pooling have no place here.

Shapes: B images, C channels, R regions of all images, D features of a region, N×N its positions, K classes and, as
number 0, the background.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads, maskrcnn_inference, maskrcnn_loss
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import roi_align

from whole_in_parts.config.tasks.detection import DetectionConfig
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.backbones.resnet import ResNet

RATIOS = (0.5, 1.0, 2.0)
POSITIONS = 14
"""The side of the map of a region, before the last stage."""
MASK_CHANNELS = 256
PROBE_SIZE = 512
BEFORE_SUPPRESSION = {"training": 12000, "testing": 6000}
AFTER_SUPPRESSION = {"training": 2000, "testing": 1000}

Found = dict[str, Tensor]
Targets = list[dict[str, Tensor]]
Losses = dict[str, Tensor]


class Proposals(RegionProposalNetwork):
    """torchvision's, with anchors of all sizes and shapes on one map, and a plain L1 loss."""

    def __init__(self, channels: int, anchors: tuple[int, ...]) -> None:
        generator = AnchorGenerator((anchors,), (RATIOS,))
        head = RPNHead(channels, generator.num_anchors_per_location()[0])
        super().__init__(generator, head, 0.7, 0.3, 256, 0.5, BEFORE_SUPPRESSION, AFTER_SUPPRESSION, 0.7)

    def compute_loss(
        self,
        objectness: Tensor,
        pred_bbox_deltas: Tensor,
        labels: list[Tensor],
        regression_targets: list[Tensor],
    ) -> tuple[Tensor, Tensor]:
        """The losses of which anchors hold an object, and of its box, over as many anchors as are drawn."""
        positive, negative = (torch.cat(drawn).bool() for drawn in self.fg_bg_sampler(labels))
        drawn, wanted = positive | negative, torch.cat(regression_targets)
        box = F.l1_loss(pred_bbox_deltas[positive], wanted[positive], reduction="sum") / drawn.sum()
        return F.binary_cross_entropy_with_logits(objectness.flatten()[drawn], torch.cat(labels)[drawn]), box


class Heads(RoIHeads):
    """What is in each proposed box: torchvision's choice of regions and of detections, with the stage in between."""

    def __init__(self, stage: nn.Module, features: int, classes: int, stride: int, options: DetectionConfig) -> None:
        super().__init__(None, None, None, 0.5, 0.5, options.regions, 0.25, None, 0.05, 0.5, 100)
        self.stride = stride
        self.stage = nn.Sequential(stage, nn.BatchNorm2d(features))
        self.classifier = normal(nn.Linear(features, classes + 1), 0.01)
        self.locator = normal(nn.Linear(features, 4 * (classes + 1)), 0.001)
        self.painter = painter(features, classes + 1) if options.masks else None

    def forward(
        self,
        map_BCHW: Tensor,
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: Targets | None = None,
    ) -> tuple[list[Found], Losses]:
        if self.training:
            assert targets is not None
            return [], self.losses(map_BCHW, proposals, targets)
        logits_RK, offsets_RX = self.judge(self.describe(map_BCHW, proposals))
        found = self.postprocess_detections(logits_RK, offsets_RX, proposals, image_shapes)
        names = ("boxes", "scores", "labels")
        detections = [dict(zip(names, parts, strict=True)) for parts in zip(*found, strict=True)]
        if self.painter:
            regions_RDNN = self.describe(map_BCHW, [each["boxes"] for each in detections])
            masks = maskrcnn_inference(self.painter(regions_RDNN), [each["labels"] for each in detections])
            detections = [each | {"masks": mask} for each, mask in zip(detections, masks, strict=True)]
        return detections, {}

    def losses(self, map_BCHW: Tensor, proposals: list[Tensor], targets: Targets) -> Losses:
        proposals, matched, labels, offsets = self.select_training_samples(proposals, targets)
        regions_RDNN, label_R = self.describe(map_BCHW, proposals), torch.cat(labels)
        logits_RK, offsets_RX = self.judge(regions_RDNN)
        losses = {
            "class": F.cross_entropy(logits_RK, label_R),
            "box": box_loss(offsets_RX, torch.cat(offsets), label_R),
        }
        if self.painter:
            positive = [label > 0 for label in labels]
            losses["mask"] = maskrcnn_loss(
                self.painter(regions_RDNN[label_R > 0]),
                [boxes[chosen] for boxes, chosen in zip(proposals, positive, strict=True)],
                [target["masks"] for target in targets],
                [target["labels"] for target in targets],
                [indices[chosen] for indices, chosen in zip(matched, positive, strict=True)],
            )
        return losses

    def describe(self, map_BCHW: Tensor, boxes: list[Tensor]) -> Tensor:
        """The description (R, D, N, N) of boxes (regions of an image, 4) in pixels of the images."""
        return self.stage(roi_align(map_BCHW, boxes, POSITIONS, 1 / self.stride, aligned=True))

    def judge(self, regions_RDNN: Tensor) -> tuple[Tensor, Tensor]:
        """The logits (R, K + 1) of classes, and how far each class's box is (R, 4 (K + 1)) from the proposed one."""
        regions_RD = regions_RDNN.mean((2, 3))
        return self.classifier(regions_RD), self.locator(regions_RD)


class Detector(nn.Module):
    """Images, each (C, H, W) in [0, 1], to what is found in them, or in training to losses.

    A target has `boxes` (objects, 4) in pixels, `labels` from 1 and, where masks are learnt, `masks` (objects, H, W).
    What is found has the same and `scores`; its `masks` (objects, 1, 2N, 2N) are probabilities within the boxes.
    """

    def __init__(self, backbone: Backbone, classes: int, options: DetectionConfig) -> None:
        """
        Raises:
            Failure: the backbone is not a ResNet of two stages or more.
        """
        super().__init__()
        if not isinstance(backbone, ResNet) or len(backbone.stages) < 2:
            name = type(backbone).__module__.rpartition(".")[2]
            raise Failure(f"detection takes resnet and rf_resnet with two stages or more, and the run's is {name}")
        self.stride = PROBE_SIZE // backbone.map_sizes(PROBE_SIZE)[-2]
        self.body = copy.deepcopy(backbone).requires_grad_(True)
        last = self.body.get_submodule(self.body.stages[-1])
        delattr(self.body, self.body.stages.pop())
        self.proposals = Proposals(backbone.widths[-2], options.anchors)
        self.heads = Heads(last, backbone.features, classes, self.stride, options)

    def forward(self, images: list[Tensor], targets: Targets | None = None) -> tuple[list[Found], Losses]:
        batch = self.together(images)
        map_BCHW = self.body.maps(batch.tensors)[-1]
        proposals, losses = self.proposals(batch, {"map": map_BCHW}, targets)
        found, more = self.heads(map_BCHW, proposals, batch.image_sizes, targets)
        return found, losses | more

    def together(self, images: list[Tensor]) -> ImageList:
        """One batch of normalised images, with zeros below and at the right, whose sides go by whole strides."""
        sizes = [(image.shape[1], image.shape[2]) for image in images]
        height, width = (-(-max(sides) // self.stride) * self.stride for sides in zip(*sizes, strict=True))
        normalised = (self.body.normalised(image[None]) for image in images)
        padded = [F.pad(image, (0, width - image.shape[3], 0, height - image.shape[2])) for image in normalised]
        return ImageList(torch.cat(padded).contiguous(memory_format=torch.channels_last), sizes)


def box_loss(offsets_RX: Tensor, wanted_R4: Tensor, label_R: Tensor) -> Tensor:
    """The plain L1 distance of the boxes of objects, each by its own class, over as many as all regions."""
    rows = (label_R > 0).nonzero()[:, 0]
    offsets_R4 = offsets_RX.unflatten(1, (-1, 4))[rows, label_R[rows]]
    return F.l1_loss(offsets_R4, wanted_R4[rows], reduction="sum") / len(label_R)


def painter(features: int, classes: int) -> nn.Sequential:
    """Descriptions (R, D, N, N) to logits (R, K + 1, 2N, 2N) of the pixels that belong to an object of each class."""
    upsampled = nn.ConvTranspose2d(features, MASK_CHANNELS, 2, 2)
    nn.init.kaiming_normal_(upsampled.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(upsampled, nn.ReLU(), normal(nn.Conv2d(MASK_CHANNELS, classes, 1), 0.001))


def normal(layer: nn.Linear | nn.Conv2d, std: float) -> nn.Linear | nn.Conv2d:
    """A layer whose weights have this standard deviation at first, and whose biases are zero."""
    nn.init.normal_(layer.weight, std=std)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer
