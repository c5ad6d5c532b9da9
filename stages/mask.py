"""Drop local representations of a run's test images before pooling: `results/mask/<run>/metrics.json`.

Top-1 when a share of the positions of the map is dropped at random, always the same positions, for each rate and as the
mean over the rates (CO-SSL, section 4.2, "internal masking"). Pooling is the mean of the kept positions, at least one.
Masking the map does not affect a representation beside it, such as a ViT's CLS token: for such backbones the probe
takes the pooled mean in its place, at every rate, 0 included.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.augment.randomness import uniforms
from whole_in_parts.config.study import Study
from whole_in_parts.distributed.environment import default_device
from whole_in_parts.evaluation.features import iter_rows
from whole_in_parts.evaluation.linear_probe import top1
from whole_in_parts.evaluation.probed_backbone import EvalInputs, eval_inputs
from whole_in_parts.metrics import write_metrics
from workflow import launch


def mask(study: Study, run: str, directory: Path) -> None:
    device = default_device()
    inputs = eval_inputs(study, run, study.mask, device, study.mask.precision)
    metrics = {f"mask_{rate}": masked_top1(inputs, rate, device) for rate in [0, *study.mask.rates]}
    if study.mask.rates:
        metrics["mean"] = round(float(np.mean([metrics[f"mask_{rate}"] for rate in study.mask.rates])), 4)
    write_metrics(directory, metrics | {"samples": len(inputs.indices)})


@torch.inference_mode()
def masked_top1(inputs: EvalInputs, rate: int, device: torch.device) -> float:
    """Evaluate top-1 on the subset with `rate` per cent of the positions dropped."""
    backbone = inputs.model.backbone

    def logits(indices: NDArray[np.int64], images_BCHW: Tensor) -> Tensor:
        local_BCNN = backbone(images_BCHW).local_BCNN
        masked_BCNN = fill_dropped(local_BCNN, draw_kept(indices, local_BCNN.shape[2:].numel(), rate))
        return inputs.model.layer(backbone.aggregate([masked_BCNN]).global_BD)

    rows = iter_rows(logits, inputs.images, inputs.indices, device, f"mask {rate} %")
    return top1(torch.cat(list(rows)), inputs.labels_N)


def draw_kept(indices: NDArray[np.int64], positions: int, rate: int) -> Tensor:
    """Draw the positions (B, P) that each image keeps, equally many per image, by sample index and rate."""
    count = max(1, round(positions * (100 - rate) / 100))
    rank = uniforms(indices[:, None] * positions + np.arange(positions), "mask", rate).argsort(1).argsort(1)
    return torch.from_numpy(rank < count)


def fill_dropped(local_BCNN: Tensor, kept_BP: Tensor) -> Tensor:
    """Fill the dropped positions with the mean of the kept ones, so that the mean of the map is the latter mean."""
    weight_BP = kept_BP.to(local_BCNN) / kept_BP.sum(1, keepdim=True).to(local_BCNN)
    mean_BC = torch.einsum("bcp,bp->bc", local_BCNN.flatten(2), weight_BP)
    kept_B1NN = kept_BP.to(local_BCNN.device).unflatten(1, local_BCNN.shape[2:])[:, None]
    return torch.where(kept_B1NN, local_BCNN, mean_BC[:, :, None, None])


if __name__ == "__main__":
    launch.run(mask)
