"""The precision in which networks compute, an option of trainings and of evaluations."""

from typing import Literal

from whole_in_parts.config.section import Section

Precision = Literal["float32", "bfloat16"]


class BackbonePrecision(Section):
    """The options of an evaluation that runs a backbone on many images."""

    precision: Precision = "float32"
    """`bfloat16` computes the backbone in mixed precision; its representations, and all that follows, are float32."""
