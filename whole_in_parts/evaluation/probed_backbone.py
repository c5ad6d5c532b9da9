"""A pretrained backbone with its linear probe, and the test images that an evaluation looks at."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from whole_in_parts.augment.randomness import stratified
from whole_in_parts.config.study import Study
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.evaluation import linear_probe
from whole_in_parts.failure import Failure
from whole_in_parts.models import saved_backbone
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.results import result_dir


class ProbedBackbone(nn.Module):
    """Images (B, C, S, S) in [0, 1] to logits (B, classes); normalisation is inside, and nothing is trained."""

    def __init__(self, backbone: Backbone, layer: nn.Linear) -> None:
        super().__init__()
        self.backbone, self.layer = backbone, layer

    def forward(self, images_BCHW: Tensor) -> Tensor:
        return self.layer(self.backbone(images_BCHW).global_BD)


class EvalInputs(NamedTuple):
    """What an evaluation is given: the model, the images, and the numbers and labels of the subset."""

    model: ProbedBackbone
    images: Images
    indices: NDArray[np.int64]
    labels_N: Tensor


def eval_inputs(study: Study, run: str, subset: int, device: torch.device) -> EvalInputs:
    """The model of a run and a subset of its dataset's test images, stratified and always the same.

    Raises:
        Failure: the subset is of no class or of one alone.
    """
    options = study.runs[run]
    shards = Shards(result_dir("shard", options.dataset) / "test")
    indices = stratified_subset(shards, subset)
    backbone, size = saved_backbone.load(result_dir("pretrain", run) / "model", device)
    layer = linear_probe.load(result_dir("linear", run) / "classifier.safetensors", device)
    labels_N = torch.from_numpy(shards.labels[indices])
    return EvalInputs(
        ProbedBackbone(backbone, layer).eval(), Images(shards, size, options.backbone.channels), indices, labels_N
    )


def stratified_subset(shards: Shards, subset: int) -> NDArray[np.int64]:
    """About `subset` sample numbers, the same share of each class, always the same.

    Raises:
        Failure: the share of each class, or of all but one, is less than half an image.
    """
    indices = stratified(shards.labels, subset, "subset")
    if not len(indices):
        raise Failure(f"subset: {subset} of {len(shards)} test images is not one image of any class")
    if len(labels := np.unique(shards.labels[indices])) == 1:
        only = shards.classes[labels[0]]
        raise Failure(f"subset: {subset} of {len(shards)} test images is images of class {only} alone")
    return indices
