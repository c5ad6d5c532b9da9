"""Faster R-CNN (Ren et al., 2015, arXiv:1506.01497) on the penultimate stage of a ResNet, optionally with the mask head
of Mask R-CNN (He et al., 2017, arXiv:1703.06870). This is MoCo's "R50-C4" (He et al., 2020, arXiv:1911.05722, section
4.2; `docs/methods.md`, E.11), built from torchvision's components.

All stages but the last compute a feature map. A region proposal network proposes boxes on it, RoIAlign crops each box
to 14×14 positions, and the last stage, followed by a batch norm, computes the features of the region. Class and box are
predicted from the mean of the features over positions, masks from the features before the mean. Unlike in torchvision,
the box losses are plain L1, and all heads share the last stage. Layers after the backbone's pooling are left out.

Shapes: B images, C channels, R regions of all images, D features of a region, N×N its positions, K classes (class 0 is
the background), X = 4 (K + 1) box offsets of a region.
"""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads, maskrcnn_inference, maskrcnn_loss
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import roi_align

from whole_in_parts.config.tasks.detection import DetectionConfig
from whole_in_parts.distributed.collectives import gather, mean_weight
from whole_in_parts.evaluation.detection.sampler import SeededSampler
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.backbones.resnet import ResNet
from whole_in_parts.models.backbones.rf_resnet import RFResNet
from whole_in_parts.models.precision import autocast, to_float32

RATIOS = (0.5, 1.0, 2.0)
ANCHORS = 256
"""The anchors of an image that train the region proposal network."""
POSITIONS = 14
"""The side of the cropped map of a region, before the last stage."""
MASK_CHANNELS = 256
PROBE_SIZE = 512
BEFORE_SUPPRESSION = {"training": 12000, "testing": 6000}
AFTER_SUPPRESSION = {"training": 2000, "testing": 1000}

Prediction = dict[str, Tensor]
Targets = list[dict[str, Tensor]]
Losses = dict[str, Tensor]


class Proposals(RegionProposalNetwork):
    """torchvision's region proposal network, with anchors of all sizes and ratios on one map and a plain L1 loss."""

    def __init__(self, channels: int, anchors: tuple[int, ...]) -> None:
        generator = AnchorGenerator((anchors,), (RATIOS,))
        head = RPNHead(channels, generator.num_anchors_per_location()[0])
        super().__init__(generator, head, 0.7, 0.3, ANCHORS, 0.5, BEFORE_SUPPRESSION, AFTER_SUPPRESSION, 0.7)
        self.fg_bg_sampler = SeededSampler(ANCHORS, 0.5)

    def compute_loss(
        self,
        objectness: Tensor,
        pred_bbox_deltas: Tensor,
        labels: list[Tensor],
        regression_targets: list[Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Compute the objectness loss and the box loss, both relative to the number of sampled anchors.

        The average over processes of each loss is that of the global batch.
        """
        positive, negative = (torch.cat(masks).bool() for masks in self.fg_bg_sampler(labels))
        sampled = positive | negative
        targets = torch.cat(regression_targets)
        box = F.l1_loss(pred_bbox_deltas[positive], targets[positive], reduction="sum") / sampled.sum()
        binary = F.binary_cross_entropy_with_logits(objectness.flatten()[sampled], torch.cat(labels)[sampled])
        weight = mean_weight(sampled.sum()).to(box)
        return weight * binary, weight * box


class Heads(RoIHeads):
    """Class, box and mask heads on shared features; torchvision samples the regions and selects the detections."""

    def __init__(self, stage: nn.Module, features: int, classes: int, stride: int, options: DetectionConfig) -> None:
        super().__init__(None, None, None, 0.5, 0.5, options.regions, 0.25, None, 0.05, 0.5, 100)
        self.fg_bg_sampler = SeededSampler(options.regions, 0.25)
        self.stride = stride
        self.precision = options.precision
        self.stage = nn.Sequential(stage, nn.BatchNorm2d(features))
        self.classifier = init_normal(nn.Linear(features, classes + 1), 0.01)
        self.locator = init_normal(nn.Linear(features, 4 * (classes + 1)), 0.001)
        self.painter = mask_head(features, classes + 1) if options.masks else None

    def forward(
        self,
        map_BCHW: Tensor,
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: Targets | None = None,
    ) -> tuple[list[Prediction], Losses]:
        if self.training:
            assert targets is not None, "a detector in training mode needs targets"
            return [], self.losses(map_BCHW, proposals, targets)

        logits_RK, offsets_RX = self.predict(self.region_features(map_BCHW, proposals))
        per_field = self.postprocess_detections(logits_RK, offsets_RX, proposals, image_shapes)
        names = ("boxes", "scores", "labels")
        detections = [dict(zip(names, parts, strict=True)) for parts in zip(*per_field, strict=True)]

        # Masks are predicted for the detected boxes, not for the proposals.
        if self.painter:
            regions_RDNN = self.region_features(map_BCHW, [image["boxes"] for image in detections])
            masks = maskrcnn_inference(self.painter(regions_RDNN), [image["labels"] for image in detections])
            detections = [image | {"masks": mask} for image, mask in zip(detections, masks, strict=True)]
        return detections, {}

    def losses(self, map_BCHW: Tensor, proposals: list[Tensor], targets: Targets) -> Losses:
        """Compute the losses of classes, boxes and masks on sampled proposals.

        The average over processes of each loss is that of the global batch.
        """
        proposals, matched, labels, offsets = self.select_training_samples(proposals, targets)
        regions_RDNN = self.region_features(map_BCHW, proposals)
        label_R = torch.cat(labels)

        logits_RK, offsets_RX = self.predict(regions_RDNN)
        weight = mean_weight((label_R >= 0).sum()).to(logits_RK)
        losses = {
            "class": weight * F.cross_entropy(logits_RK, label_R),
            "box": weight * box_loss(offsets_RX, torch.cat(offsets), label_R),
        }

        if self.painter:
            positive = [label > 0 for label in labels]
            losses["mask"] = mean_weight((label_R > 0).sum()).to(logits_RK) * maskrcnn_loss(
                self.painter(regions_RDNN[label_R > 0]),
                [boxes[is_object] for boxes, is_object in zip(proposals, positive, strict=True)],
                [target["masks"] for target in targets],
                [target["labels"] for target in targets],
                [indices[is_object] for indices, is_object in zip(matched, positive, strict=True)],
            )
        return losses

    def region_features(self, map_BCHW: Tensor, boxes: list[Tensor]) -> Tensor:
        """Compute the features (R, D, N, N) of boxes, (regions, 4) for each image, in pixels."""
        crops_RCNN = roi_align(map_BCHW, boxes, POSITIONS, 1 / self.stride, aligned=True)
        with autocast(self.precision, map_BCHW.device):
            regions_RDNN = self.stage(crops_RCNN)
        return to_float32(regions_RDNN)

    def predict(self, regions_RDNN: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the logits (R, K + 1) of the classes and each class's box offsets (R, X) from the proposal."""
        regions_RD = regions_RDNN.mean((2, 3))
        return self.classifier(regions_RD), self.locator(regions_RD)


class Detector(nn.Module):
    """Maps images, each (C, H, W) in [0, 1], to predictions, or in training mode to losses.

    A target has `boxes` (objects, 4) in pixels, `labels` from 1 and, for a mask head, `masks` (objects, H, W). A
    prediction has the same and `scores`; its `masks` (objects, 1, 2N, 2N) are probabilities inside the boxes.
    """

    def __init__(self, backbone: Backbone, classes: int, options: DetectionConfig) -> None:
        """Copy the backbone and attach the proposal network and the heads.

        Raises:
            Failure: the backbone is not a ResNet with at least two stages.
        """
        super().__init__()
        if not isinstance(backbone, ResNet) or len(backbone.stages) < 2:
            name = type(backbone).__module__.rpartition(".")[2]
            raise Failure(f"detection takes resnet and rf_resnet with two stages or more, and the run has {name}")

        self.stride = PROBE_SIZE // backbone.map_sizes(PROBE_SIZE)[-2]
        self.body = copy.deepcopy(backbone).requires_grad_(True)
        if isinstance(self.body, RFResNet):
            self.body.mlp = nn.Identity()

        # The last stage moves from the body to the heads.
        last = self.body.get_submodule(self.body.stages[-1])
        delattr(self.body, self.body.stages.pop())

        self.proposals = Proposals(backbone.widths[-2], options.anchors)
        self.heads = Heads(last, backbone.features, classes, self.stride, options)

    def forward(
        self, images: list[Tensor], targets: Targets | None = None, seeds: Sequence[int] = ()
    ) -> tuple[list[Prediction], Losses]:
        """Predict, or in training mode compute the losses (a collective).

        Args:
            seeds: for each image the seed by which anchors and regions are sampled in training.
        """
        self.proposals.fg_bg_sampler.seeds = seeds
        self.heads.fg_bg_sampler.seeds = seeds
        batch = self.collate(images)
        with autocast(self.heads.precision, batch.tensors.device):
            map_BCHW = to_float32(self.body.maps(batch.tensors)[-1])
        proposals, losses = self.proposals(batch, {"map": map_BCHW}, targets)
        predictions, head_losses = self.heads(map_BCHW, proposals, batch.image_sizes, targets)
        return predictions, losses | head_losses

    def collate(self, images: list[Tensor]) -> ImageList:
        """Normalise images and zero-pad them, below and at the right, to common multiples of the stride.

        In training, these are the same in all processes (a collective), as batch norm sees the padding, too.
        """
        sizes = [(image.shape[1], image.shape[2]) for image in images]
        sizes_N2 = torch.tensor(sizes)
        extent_2 = gather(sizes_N2.amax(0)[None]).amax(0) if self.training else sizes_N2.amax(0)
        height, width = (-(-side // self.stride) * self.stride for side in extent_2.tolist())
        normalised = (self.body.normalised(image[None]) for image in images)
        padded = [F.pad(image, (0, width - image.shape[3], 0, height - image.shape[2])) for image in normalised]
        return ImageList(torch.cat(padded).contiguous(memory_format=torch.channels_last), sizes)


def box_loss(offsets_RX: Tensor, target_R4: Tensor, label_R: Tensor) -> Tensor:
    """Compute the L1 loss of the boxes of objects, each of its own class, divided by the number of all regions."""
    rows = (label_R > 0).nonzero()[:, 0]
    offsets_R4 = offsets_RX.unflatten(1, (-1, 4))[rows, label_R[rows]]
    return F.l1_loss(offsets_R4, target_R4[rows], reduction="sum") / len(label_R)


def mask_head(features: int, classes: int) -> nn.Sequential:
    """Build the mask head: features (R, D, N, N) to pixel logits (R, K + 1, 2N, 2N) for each class."""
    upsampled = nn.ConvTranspose2d(features, MASK_CHANNELS, 2, 2)
    nn.init.kaiming_normal_(upsampled.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(upsampled, nn.ReLU(), init_normal(nn.Conv2d(MASK_CHANNELS, classes, 1), 0.001))


def init_normal(layer: nn.Linear | nn.Conv2d, std: float) -> nn.Linear | nn.Conv2d:
    """Initialise weights from a normal distribution and biases to zero, in place; return the layer."""
    nn.init.normal_(layer.weight, std=std)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer
