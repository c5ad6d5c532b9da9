"""Measure the cost of a method, with the quantities of CO-SSL's Table 11 (`docs/methods.md` E.16 and E.17).

`forward_macs` are the multiply-adds counted by torch. `pair_flops` is the paper's figure for a pair of views: two views
through two networks, at two FLOPs per multiply-add. `small_crop_flops` are those of the crops that a modifier or method
adds, through the online network alone, and `local_head_flops` those of CO's heads for both views; `images` is the
number of views and crops of an image. `memory_gb` is the paper's figure, four bytes for each parameter and each image
of a batch of 64, in 10⁹ bytes: no measure of activations. `crop_scale_least` is T_min, the smallest share of an image
from which a local representation has to predict the global one: min(1, RF² / side²) times the smallest crop scale. It
is written if the backbone has a receptive field.
"""

from collections import Counter

from torch import nn

from whole_in_parts.config.analyses.cost import CostConfig
from whole_in_parts.evaluation.analysis import AnalysisContext
from whole_in_parts.models import backbone_cost
from whole_in_parts.models.receptive_field import receptive_field
from whole_in_parts.modifiers.co import CO

VIEWS, NETWORKS, FLOPS_PER_MAC = 2, 2, 2
BATCH, BYTES = 64, 4


def measure(context: AnalysisContext, options: CostConfig) -> dict[str, float]:
    """Count the parameters, operations and positions of a method's networks, and compute T_min."""
    size = context.test.size
    parameters = backbone_cost.parameters(context.backbone)
    macs = backbone_cost.multiply_adds(context.backbone, size)
    # Without the run's views, the crops are those that the modifier or the method adds.
    small = Counter(crop.size for crop in context.method.crops([], size))
    small_macs = sum(count * backbone_cost.multiply_adds(context.backbone, side) for side, count in small.items())
    images = VIEWS + small.total()

    metrics = {
        "parameters": float(parameters),
        "forward_macs": float(macs),
        "pair_flops": float(macs * VIEWS * NETWORKS * FLOPS_PER_MAC),
        "small_crop_flops": float(small_macs * FLOPS_PER_MAC),
        "local_head_flops": float(local_head_macs(context, size) * VIEWS * FLOPS_PER_MAC),
        "images": float(images),
        "memory_gb": parameters * images * BATCH * BYTES / 1e9,
        "positions": float(context.backbone.map_sizes(size)[-1] ** 2),
    }
    if field := receptive_field(context.backbone):
        metrics["receptive_field"] = float(field[0])
        metrics["crop_scale_least"] = min(1.0, field[0] ** 2 / size**2) * options.crop_scale
    return metrics


def local_head_macs(context: AnalysisContext, size: int) -> int:
    """Count the multiply-adds of CO's local heads, online and target, for one view; 0 for a method without CO."""
    if not isinstance(context.method, CO):
        return 0
    options = context.method.options
    side = options.map_size or context.backbone.map_sizes(size)[options.layer - 1]
    linear = [module for module in context.method.local_heads.modules() if isinstance(module, nn.Linear)]
    return side**2 * sum(module.weight.numel() for module in linear)
