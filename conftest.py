"""Check the shapes and types of the library's public signatures while tests run (jaxtyping with beartype)."""

from jaxtyping import install_import_hook

CHECKED = [
    "whole_in_parts.augment.resampling",
    "whole_in_parts.augment.views",
    "whole_in_parts.evaluation.linear_probe",
    "whole_in_parts.evaluation.nearest_neighbours",
    "whole_in_parts.evaluation.pgd",
    "whole_in_parts.methods",
    "whole_in_parts.models.backbone",
    "whole_in_parts.models.heads",
    "whole_in_parts.models.prototypes",
    "whole_in_parts.models.queue",
]

install_import_hook(CHECKED, "beartype.beartype")
