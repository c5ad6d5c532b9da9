"""Options of the modifier `logo` (`modifiers/logo.py`)."""

from typing import Literal, Self

from pydantic import model_validator

from whole_in_parts.config.method import JointEmbeddingConfig
from whole_in_parts.config.modifier import ModifierConfig
from whole_in_parts.config.section import Count, NotNegative, Positive
from whole_in_parts.config.views import View


class LoGoConfig(ModifierConfig):
    """How the two local crops are made. In mode `ratio`, `ratio` is the paper's λ, of the lengths of the gradients; in
    mode `public` it is a bound on it, and `learning_rate` is the affinity's.
    """

    modifies = JointEmbeddingConfig
    needs_whole_batch = True
    name: Literal["logo"]
    size: Count
    view: View
    mode: Literal["ratio", "public"] = "ratio"
    ratio: NotNegative = 5e-4
    local_to_local: bool = True
    learning_rate: Positive = 0.03

    @model_validator(mode="after")
    def public_code_has_local_to_local(self) -> Self:
        if self.mode == "public" and not self.local_to_local:
            raise ValueError("local_to_local: mode public draws local crops apart; without that, take mode ratio")
        return self

    def crop_sizes(self) -> dict[str, int]:
        return {"size": self.size}
