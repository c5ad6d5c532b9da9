"""A pretrained backbone with its linear probe, and a stratified subset of the test images."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from whole_in_parts.augment.randomness import stratified
from whole_in_parts.config.evaluations import Robustness
from whole_in_parts.config.precision import Precision
from whole_in_parts.config.study import Study
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.evaluation import linear_probe
from whole_in_parts.failure import Failure
from whole_in_parts.models import saved_backbone
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.results import result_dir


class ProbedBackbone(nn.Module):
    """Maps images (B, C, S, S) in [0, 1] to logits (B, classes); it normalises the images itself and is not trained."""

    def __init__(self, backbone: Backbone, layer: nn.Linear) -> None:
        super().__init__()
        self.backbone = backbone
        self.layer = layer

    def forward(self, images_BCHW: Tensor) -> Tensor:
        return self.layer(self.backbone(images_BCHW).global_BD)


class EvalInputs(NamedTuple):
    """The inputs of an evaluation: the model, all test images, and the indices and labels (N,) of the subset."""

    model: ProbedBackbone
    images: Images
    indices: NDArray[np.int64]
    labels_N: Tensor


CLASSIFIERS = {"features": "classifier.safetensors", "crops": "classifier_on_crops.safetensors"}
"""The files in the results of the stage `linear` of the probes that an evaluation of robustness can name."""


def eval_inputs(
    study: Study, run: str, evaluation: Robustness, device: torch.device, precision: Precision = "float32"
) -> EvalInputs:
    """Load the backbone of a run with the classifier that an evaluation names, and draw its subset of the test images.

    The subset is stratified and always the same.

    Raises:
        Failure: the subset has images of fewer than two classes, or the run's classifier is missing.
    """
    options = study.runs[run]
    shards = Shards(result_dir("shard", options.dataset) / "test")
    indices = stratified_subset(shards, evaluation.subset)

    backbone, size = saved_backbone.load(result_dir("pretrain", run) / "model", device, precision)
    layer = linear_probe.load(result_dir("linear", run) / CLASSIFIERS[evaluation.classifier], device)
    model = ProbedBackbone(backbone, layer).eval()

    images = Images(shards, size, options.backbone.channels, study.datasets[options.dataset].test_transform)
    labels_N = torch.from_numpy(shards.labels[indices])
    return EvalInputs(model, images, indices, labels_N)


def stratified_subset(shards: Shards, subset: int) -> NDArray[np.int64]:
    """Draw the indices of about `subset` samples, the same share of each class, always the same.

    Raises:
        Failure: the share of each class, or of all but one, is less than half an image.
    """
    indices = stratified(shards.labels, subset, "subset")
    if not len(indices):
        raise Failure(f"subset: {subset} of {len(shards)} test images is less than one image of any class; raise it")
    if len(labels := np.unique(shards.labels[indices])) == 1:
        only_class = shards.classes[labels[0]]
        raise Failure(f"subset: {subset} of {len(shards)} test images are all of class {only_class}; raise it")
    return indices
