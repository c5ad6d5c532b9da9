"""Plain training steps with lightly's losses and heads, of the sizes in `workflow/studies/methods.yaml`.

Every class takes the step of the example for its method in lightly's documentation, on a given backbone.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

HIDDEN, OUTPUT, PROTOTYPES, QUEUE = 256, 64, 256, 4096


class Plain:
    """A backbone and a projector that are trained by a loss; `momentum` gives them EMA targets."""

    momentum = False

    def __init__(self, backbone: nn.Module, features: int) -> None:
        self.backbone = backbone
        self.projector = self.make_projector(features)
        self.build()
        self.modules = [self.backbone, self.projector, *self.extra_modules()]
        self.targets = [
            copy.deepcopy(backbone).requires_grad_(False),
            self.make_projector(features).requires_grad_(False),
        ]
        parameters = [
            parameter for module in self.modules for parameter in module.parameters() if parameter.requires_grad
        ]
        self.optimizer = torch.optim.SGD(parameters, 0.05, momentum=0.9)

    def make_projector(self, features: int) -> nn.Module:
        """Build the projector of the method."""
        from lightly.models.modules import SimCLRProjectionHead

        return SimCLRProjectionHead(features, HIDDEN, OUTPUT)

    def build(self) -> None:
        """Build the loss, and the heads besides the projector."""

    def extra_modules(self) -> list[nn.Module]:
        """List the trained modules besides backbone and projector."""
        return []

    def project(self, view: Tensor) -> Tensor:
        """Embed a view by the online network."""
        return self.projector(self.backbone(view).global_BD)

    @torch.no_grad()
    def target(self, view: Tensor) -> Tensor:
        """Embed a view by the EMA target, without gradient."""
        return self.targets[1](self.targets[0](view).global_BD)

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        """Compute the loss of two views."""
        raise NotImplementedError

    def step(self, first: Tensor, second: Tensor) -> None:
        """Take a training step on two views."""
        from lightly.models.utils import update_momentum

        if self.momentum:
            for online, target in zip((self.backbone, self.projector), self.targets, strict=True):
                update_momentum(online, target, m=0.99)
        loss = self.loss(first, second)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


class BYOL(Plain):
    momentum = True

    def make_projector(self, features: int) -> nn.Module:
        from lightly.models.modules import BYOLProjectionHead

        return BYOLProjectionHead(features, HIDDEN, OUTPUT)

    def build(self) -> None:
        from lightly.loss import NegativeCosineSimilarity
        from lightly.models.modules import BYOLPredictionHead

        self.predictor = BYOLPredictionHead(OUTPUT, HIDDEN, OUTPUT)
        self.criterion = NegativeCosineSimilarity()

    def extra_modules(self) -> list[nn.Module]:
        return [self.predictor]

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        half = self.criterion(self.predictor(self.project(first)), self.target(second))
        return 0.5 * (half + self.criterion(self.predictor(self.project(second)), self.target(first)))


class SimSiam(BYOL):
    momentum = False

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        z0 = self.project(first)
        z1 = self.project(second)
        half = self.criterion(self.predictor(z0), z1.detach())
        return 0.5 * (half + self.criterion(self.predictor(z1), z0.detach()))


class SimCLR(Plain):
    def build(self) -> None:
        from lightly.loss import NTXentLoss

        self.criterion = NTXentLoss(0.2)

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        return self.criterion(self.project(first), self.project(second))


class MoCoV2(Plain):
    """Both directions, with a queue per direction."""

    momentum = True

    def make_projector(self, features: int) -> nn.Module:
        from lightly.models.modules import MoCoProjectionHead

        return MoCoProjectionHead(features, HIDDEN, OUTPUT)

    def build(self) -> None:
        from lightly.loss import NTXentLoss

        self.criteria = [NTXentLoss(0.2, memory_bank_size=(QUEUE, OUTPUT)) for _ in range(2)]

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        half = self.criteria[0](self.project(first), self.target(second))
        return 0.5 * (half + self.criteria[1](self.project(second), self.target(first)))


class VICReg(Plain):
    def build(self) -> None:
        from lightly.loss import VICRegLoss

        self.criterion = VICRegLoss()

    def make_projector(self, features: int) -> nn.Module:
        from lightly.models.modules import SimCLRProjectionHead

        return SimCLRProjectionHead(features, HIDDEN, HIDDEN)

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        return self.criterion(self.project(first), self.project(second))


class SwAV(Plain):
    def make_projector(self, features: int) -> nn.Module:
        from lightly.models.modules import SwaVProjectionHead

        return SwaVProjectionHead(features, HIDDEN, OUTPUT)

    def build(self) -> None:
        from lightly.loss import SwaVLoss
        from lightly.models.modules import SwaVPrototypes

        self.prototypes = SwaVPrototypes(OUTPUT, PROTOTYPES)
        self.criterion = SwaVLoss()

    def extra_modules(self) -> list[nn.Module]:
        return [self.prototypes]

    def score(self, view: Tensor) -> Tensor:
        return self.prototypes(nn.functional.normalize(self.project(view), dim=1))

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        self.prototypes.normalize()
        return self.criterion([self.score(first), self.score(second)], [])


class DINO(Plain):
    momentum = True

    def make_projector(self, features: int) -> nn.Module:
        from lightly.models.modules import DINOProjectionHead

        return DINOProjectionHead(features, HIDDEN, OUTPUT, PROTOTYPES, batch_norm=True)

    def build(self) -> None:
        from lightly.loss import DINOLoss

        self.criterion = DINOLoss(PROTOTYPES)

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        teacher = [self.target(first), self.target(second)]
        return self.criterion(teacher, [self.project(first), self.project(second)], epoch=0)


PLAIN: dict[str, Callable[..., Plain]] = {
    "byol": BYOL,
    "dino": DINO,
    "moco_v2": MoCoV2,
    "simclr": SimCLR,
    "simsiam": SimSiam,
    "swav": SwAV,
    "vicreg": VICReg,
}
