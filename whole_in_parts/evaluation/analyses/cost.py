"""Measure the cost of a backbone, with the quantities of CO-SSL's Table 11 (`docs/methods.md` E.16 and E.17).

`forward_macs` are the multiply-adds counted by torch. `pair_flops` is the paper's figure for a pair of views: two views
through two networks, at two FLOPs per multiply-add. `crop_scale_least` is T_min, the smallest share of an image from
which a local representation has to predict the global one: min(1, RF² / side²) times the smallest crop scale. It is
written if the backbone has a receptive field.
"""

from whole_in_parts.config.analyses.cost import CostConfig
from whole_in_parts.evaluation.analysis import AnalysisContext
from whole_in_parts.models import backbone_cost
from whole_in_parts.models.receptive_field import receptive_field

VIEWS, NETWORKS, FLOPS_PER_MAC = 2, 2, 2


def measure(context: AnalysisContext, options: CostConfig) -> dict[str, float]:
    """Count the parameters, multiply-adds and positions of a backbone, and compute T_min."""
    size = context.test.size
    macs = backbone_cost.multiply_adds(context.backbone, size)
    metrics = {
        "parameters": float(backbone_cost.parameters(context.backbone)),
        "forward_macs": float(macs),
        "pair_flops": float(macs * VIEWS * NETWORKS * FLOPS_PER_MAC),
        "positions": float(context.backbone.map_sizes(size)[-1] ** 2),
    }
    if field := receptive_field(context.backbone):
        metrics["receptive_field"] = float(field[0])
        metrics["crop_scale_least"] = min(1.0, field[0] ** 2 / size**2) * options.crop_scale
    return metrics
