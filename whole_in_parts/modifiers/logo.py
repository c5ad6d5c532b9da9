"""LoGo: local crops are like the global ones, but unlike each other (Zhang et al., 2022, "Leverage your local and
global representations", arXiv:2203.17205, section 3.2; `methods.md` A.14).

Beside two global views, two local crops: each is aligned with both global views, and the two are drawn apart by a
learned affinity. The affinity tells pairs of one image from pairs of two; the encoder is trained against it. The mean
is over the six aligned pairs, as in the authors' code.

`mode: ratio` is the paper's: in each step the gradient that draws apart is scaled to `ratio` times the length of the
gradient that aligns. `mode: public` is the authors' code: see `PublicLoGo`.
"""

from collections.abc import Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD

from whole_in_parts.augment.views import Batch, Crop
from whole_in_parts.distributed.collectives import all_reduce_mean, average_gradients, gather
from whole_in_parts.methods.base import Losses
from whole_in_parts.methods.joint_embedding import Embedded, JointEmbedding
from whole_in_parts.models.heads import mlp
from whole_in_parts.models.precision import to_float32
from whole_in_parts.modifiers.base import Modified
from whole_in_parts.schedules import Clock

LOCAL = 2
DEPTH, WIDTH = 5, 256
"""Of the affinity: the paper's depth, and the width in the authors' code."""

NOISE = 0.3
"""Of the positive pairs, per √D."""

TINY = 1e-12
"""The least length that a gradient is divided by."""


class Affinity(nn.Module):
    """A logit for each pair of embeddings: how sure it is that both are of one image. D dimensions, B pairs.

    It is given the pairs of all processes, by each of them.
    """

    gathered = True

    def __init__(self, features: int):
        super().__init__()
        self.layers = mlp([2 * features] + [WIDTH] * DEPTH + [1])

    def forward(self, first_BD: Tensor, second_BD: Tensor) -> Tensor:
        return to_float32(self.layers(torch.cat([first_BD, second_BD], 1))[:, 0])


class LoGo(Modified):
    """A joint-embedding base with two local crops. With `local_to_local: false` they are not drawn apart."""

    base: JointEmbedding

    def __init__(self, base: JointEmbedding, options):
        super().__init__(base, options)
        if options.local_to_local:
            self.affinity = Affinity(base.options.projector[-1])

    def crops(self, views: Sequence, size: int) -> list[Crop]:
        return self.base.crops(views, size) + [Crop(self.options.view, self.options.size)] * LOCAL

    def forward(self, batch: Batch) -> Losses:
        embedded = self.base.embed_global(self.base.encode(batch.views))
        losses = self.align(embedded)
        if self.options.local_to_local:
            first_BD, second_BD = (units(z_1BD[0]) for z_1BD in embedded.projected[-LOCAL:])
            losses["affinity"] = self.tell_images_apart(first_BD.detach(), second_BD.detach())
            losses["apart"] = F.softplus(self.affinity(first_BD, second_BD)).mean()
        return losses

    def align(self, embedded: Embedded) -> Losses:
        """The base's own loss, as a mean over the pairs."""
        pair_ratio = self.base.pair_ratio(len(embedded.online))
        return {name: loss / pair_ratio for name, loss in self.base.losses(embedded).items()}

    def tell_images_apart(self, first_BD: Tensor, second_BD: Tensor) -> Tensor:
        """The affinity's own loss, logistic: pairs of one image, with noise, against pairs of two images."""
        near = [z_BD + NOISE / z_BD.shape[1] ** 0.5 * torch.randn_like(z_BD) for z_BD in (first_BD, second_BD)]
        same = [(near[0], near[1]), (near[1], near[0])]
        different = [(first_BD, second_BD.flip(0)), (second_BD, first_BD.flip(0))]
        logits = [-self.affinity(*pair) for pair in same] + [self.affinity(*pair) for pair in different]
        return torch.stack([F.softplus(logit_B).mean() for logit_B in logits]).sum() / 2

    def backward(self, losses: Losses) -> None:
        """The gradient that draws apart reaches the encoder alone, at its share of the length of the rest."""
        apart, rest = losses.get("apart"), {name: loss for name, loss in losses.items() if name != "apart"}
        torch.stack(list(rest.values())).sum().backward(retain_graph=apart is not None)
        if apart is not None:
            encoder = [parameter for parameter in self.base.parameters() if parameter.grad is not None]
            own = torch.autograd.grad(apart, encoder, allow_unused=True, materialize_grads=True)
            apart_gradients = [all_reduce_mean(gradient) for gradient in own]
            share = (
                self.options.ratio
                * grad_norm(each.grad for each in encoder)
                / grad_norm(apart_gradients).clamp(min=TINY)
            )
            for parameter, gradient in zip(encoder, apart_gradients, strict=True):
                cast(Tensor, parameter.grad).add_(gradient * share)


class PublicLoGo(LoGo):
    """The authors' code: before each step, one of the affinity and one of the encoder against it, by optimizers of
    their own; the latter is cut to `ratio` times the length of the last step's gradient, which an epoch starts anew.

    Their code moves the target network twice a step: square the run's `momentum` for that.
    """

    last_length: Tensor

    def __init__(self, base: JointEmbedding, options):
        super().__init__(base, options)
        self.affinity.requires_grad_(False)
        self.encoder = [parameter for parameter in base.parameters() if parameter.requires_grad]
        self.optimizers = {
            "affinity": SGD(self.affinity.parameters(), options.learning_rate, momentum=0.9, weight_decay=1e-4),
            "encoder": SGD(self.encoder, options.learning_rate, momentum=0.9, weight_decay=1e-4),
        }
        self.register_buffer("last_length", torch.zeros(()))

    def prepare(self, clock: Clock) -> None:
        super().prepare(clock)
        self.optimizers["encoder"].param_groups[0]["lr"] = clock.learning_rate
        if clock.step % clock.per_epoch == 0:
            self.last_length.zero_()

    def forward(self, batch: Batch) -> Losses:
        self.draw_apart(batch.views[-LOCAL:])
        embedded = self.base.embed_global(self.base.encode(batch.views))
        return self.align(embedded)

    def draw_apart(self, local: list[Tensor]) -> None:
        """One step of the affinity, then one of the encoder."""
        whole = [self.base.encode_online(view_BCSS).global_BD[None] for view_BCSS in local]
        first_BD, second_BD = (units(self.base.heads.project(global_1BC)[0]) for global_1BC in whole)
        self.affinity.requires_grad_(True)
        self.step("affinity", self.tell_images_apart(first_BD.detach(), second_BD.detach()))
        self.affinity.requires_grad_(False)
        self.step("encoder", F.softplus(self.affinity(first_BD, second_BD)).mean())

    def step(self, name: str, loss: Tensor) -> None:
        optimizer = self.optimizers[name]
        optimizer.zero_grad()
        loss.backward()
        if name == "encoder":
            average_gradients(self.encoder)
            clip_grads_(
                [each.grad for each in self.encoder if each.grad is not None], self.options.ratio * self.last_length
            )
        optimizer.step()

    def backward(self, losses: Losses) -> None:
        super().backward(losses)
        self.last_length.copy_(grad_norm(each.grad for each in self.encoder if each.grad is not None))

    def get_extra_state(self) -> dict:
        return {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()}

    def set_extra_state(self, state: dict) -> None:
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state[name])


def units(z_BD: Tensor) -> Tensor:
    """The embeddings of all processes as the affinity is given them, unit vectors."""
    return gather(F.normalize(to_float32(z_BD)))


def grad_norm(gradients: Iterable[Tensor | None]) -> Tensor:
    """The Euclidean length of a gradient that lies in several tensors."""
    return torch.stack([gradient.norm() for gradient in gradients if gradient is not None]).norm()


def clip_grads_(gradients: list[Tensor], longest: Tensor) -> None:
    """Make a gradient no longer than that, as `clip_grad_norm_` does, which would wait for the device to know it."""
    factor = (longest / (grad_norm(gradients) + 1e-6)).clamp(max=1)
    for gradient in gradients:
        gradient.mul_(factor)


def modify(method: JointEmbedding, options, size: int) -> LoGo:
    return (PublicLoGo if options.mode == "public" else LoGo)(method, options)
