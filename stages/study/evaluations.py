"""The sections of the evaluations: one for each stage that follows pretraining."""

from typing import Annotated, Literal

from pydantic import Field

from stages.study.section import Count, Name, NotNegative, Positive, Section


class Linear(Section):
    """The linear probe: SGD on standardised features, cosine schedule."""

    epochs: Count
    batch_size: Count
    learning_rate: Positive
    weight_decay: NotNegative


class KNN(Section):
    """Weighted cosine kNN: votes weigh exp(similarity / temperature)."""

    neighbours: list[Count]
    temperature: Positive


class Corrupt(Section):
    """Each corruption is applied at five severities to a subset of the test images."""

    corruptions: list[Literal["gaussian_noise", "defocus_blur"]]
    subset: Count


class Mask(Section):
    """`rates`: the percentages of the local representations that are dropped before pooling."""

    rates: list[Annotated[int, Field(ge=0, lt=100)]]
    subset: Count


class AttackSetting(Section):
    """L∞ PGD: `step` is the step size as a share of epsilon."""

    epsilon: NotNegative
    step: Positive
    iterations: Count


class Attack(Section):
    """Named settings of an attack on a subset of the test images."""

    settings: dict[Name, AttackSetting]
    subset: Count


class Transfer(Section):
    """The dataset that a linear probe is trained and tested on, as `linear` says."""

    dataset: Name
