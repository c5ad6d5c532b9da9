"""A run's `method`: one class for each file of `whole_in_parts/methods/`, with the modifiers that it can carry."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from whole_in_parts.config.section import Count, NotNegative, Positive, Section, Share, Shares
from whole_in_parts.config.views import SmallCrops

Widths = Annotated[list[Count], Field(min_length=1)]


class Base(Section):
    """What is common to all methods: the names of the modifiers that they can carry."""

    carries: ClassVar[tuple[str, ...]] = ("none", "patches")


class JointEmbedding(Base):
    """A base that aligns embeddings of views; `projector` gives the widths of its hidden layers and of its output."""

    carries: ClassVar[tuple[str, ...]] = ("none", "co", "multi_crop", "logo", "patches")
    projector: Widths


class TargetNetwork(JointEmbedding):
    """A base with a target network; `momentum` is how much of it stays, at the first step and at the last."""

    momentum: Shares


class Random(Base):
    """No training: `epochs` is 0."""

    carries = ("none",)
    name: Literal["random"]


class Supervised(Base):
    """Cross-entropy on the labels."""

    name: Literal["supervised"]


class BYOL(TargetNetwork):
    """`predictor` is the width of the predictor's hidden layer."""

    name: Literal["byol"]
    predictor: Count


class MoCoV3(TargetNetwork):
    """`predictor` is the width of the predictor's hidden layer."""

    name: Literal["moco_v3"]
    predictor: Count
    temperature: Positive


class SimCLR(JointEmbedding):
    """`norm` is whether the projector has batch norms."""

    name: Literal["simclr"]
    temperature: Positive
    norm: bool


class SimSiam(JointEmbedding):
    """`predictor` is the width of the predictor's hidden layer."""

    name: Literal["simsiam"]
    predictor: Count


class MoCoV2(TargetNetwork):
    """`queue` is how many keys of earlier batches serve as negatives; `symmetric` adds the second direction."""

    name: Literal["moco_v2"]
    temperature: Positive
    queue: Count
    symmetric: bool = True


class VICReg(JointEmbedding):
    """The weights of the three terms."""

    name: Literal["vicreg"]
    invariance: NotNegative = 25.0
    variance: NotNegative = 25.0
    covariance: NotNegative = 1.0


class TCR(JointEmbedding):
    """`epsilon` is what the formula calls ε²; `invariance` is λ."""

    name: Literal["tcr"]
    epsilon: Positive = 0.2
    invariance: NotNegative = 30.0


class SwAV(JointEmbedding):
    """`frozen_epochs` is how long the prototypes stay; `queue` is how many embeddings help to balance a small batch."""

    name: Literal["swav"]
    prototypes: Count
    temperature: Positive = 0.1
    epsilon: Positive = 0.05
    iterations: Count = 3
    frozen_epochs: NotNegative = 1.0
    queue: Annotated[int, Field(ge=0)] = 0
    queue_from_epoch: NotNegative = 15.0


class Distillation(TargetNetwork):
    """The last width of `projector` is that of the bottleneck before the prototypes; the teacher's temperature warms up
    from the first to the second value, and the prototypes stay as they are for `frozen_epochs`.
    """

    prototypes: Count
    norm: bool = False
    student_temperature: Positive = 0.1
    teacher_temperature: Shares = (0.04, 0.07)
    warmup_epochs: NotNegative = 30.0
    centre_momentum: Share = 0.9
    frozen_epochs: NotNegative = 1.0


class DINO(Distillation):
    """`keep` is the network that is the result: the teacher is the target."""

    name: Literal["dino"]
    keep: Literal["online", "target"] = "target"


class PatchDINO(Distillation):
    """`whole_share` is the paper's λ, of the loss that has one; `centre` is one for each position, or one for all."""

    carries = ("none",)
    name: Literal["patch_dino"]
    local: SmallCrops
    loss: Literal["mean", "sum", "lambda"] = "mean"
    whole_share: Share = 0.2
    centre: Literal["position", "shared"] = "position"


class MEC(TargetNetwork):
    """`predictor` is the width of the predictor's hidden layer; `warmup_epochs` is that of λ."""

    name: Literal["mec"]
    predictor: Count
    distortion: Positive = 64.0
    warmup_epochs: NotNegative = 10.0


class MatrixSSL(TargetNetwork):
    """`predictor` is the width of the predictor's hidden layer; the constants are the paper's μ, λ and γ."""

    name: Literal["matrix_ssl"]
    predictor: Count
    mu: Positive = 1.0
    uniformity: NotNegative = 1.0
    alignment: NotNegative = 1.0


class AMDIM(Base):
    """The maps to tell by: a shallow and a deep one, counted from 1, and the sides that they are brought to."""

    name: Literal["amdim"]
    projector: Widths
    layers: tuple[Count, Count]
    sides: tuple[Count, Count]


MethodOptions = Annotated[
    Random
    | Supervised
    | BYOL
    | DINO
    | MoCoV3
    | SimCLR
    | SimSiam
    | MoCoV2
    | VICReg
    | TCR
    | SwAV
    | MEC
    | MatrixSSL
    | AMDIM
    | PatchDINO,
    Field(discriminator="name"),
]
