"""What a backbone costs, measured, beside the arithmetic of CO-SSL's Table 11 (`methods.md` E.16 and E.17).

`forward_macs` is counted by torch; `pair_flops` is the paper's figure for a pair of views: two views by two networks,
two FLOPs a multiply-add. `crop_scale_least` is T_min, the least share of an image from which a local representation is
asked to recognise the whole: min(1, RF² / side²) times the least crop scale; it needs a receptive field.
"""

from whole_in_parts.config.analyses.cost import CostConfig
from whole_in_parts.evaluation.analysis import AnalysisContext
from whole_in_parts.models import backbone_cost
from whole_in_parts.models.receptive_field import receptive_field

VIEWS, NETWORKS, FLOPS_PER_MAC = 2, 2, 2


def measure(context: AnalysisContext, options: CostConfig) -> dict[str, float]:
    size, macs = context.test.size, backbone_cost.multiply_adds(context.backbone, context.test.size)
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
