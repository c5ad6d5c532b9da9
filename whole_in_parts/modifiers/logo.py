"""LoGo: local crops resemble the global ones, but not each other (Zhang et al., 2022, "Leverage your local and global
representations", arXiv:2203.17205, section 3.2; `docs/methods.md` A.14).

Two local crops stand beside two global views. Each local crop is aligned with both global views, and the two local
crops are pushed apart by a learned affinity. The affinity learns to tell pairs of crops of the same image from pairs of
different images; the encoder learns against it. The aligning loss is the mean over the six pairs, as in the authors'
code.

`mode: ratio` is the paper's: in each step the gradient that pushes apart is scaled to `ratio` times the norm of the
gradient that aligns. `mode: public` is the authors' code: see `PublicLoGo`.
"""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD

from whole_in_parts.async_copy import copy_async
from whole_in_parts.augment.views import Batch, Crop
from whole_in_parts.config.modifiers.logo import LoGoConfig
from whole_in_parts.config.views import View
from whole_in_parts.distributed.collectives import all_reduce_mean, average_gradients, gather
from whole_in_parts.methods.base import Losses, Output
from whole_in_parts.methods.joint_embedding import AnyJointEmbedding, Embedded
from whole_in_parts.models.heads import mlp
from whole_in_parts.models.precision import to_float32
from whole_in_parts.models.weight_decay import parameter_groups
from whole_in_parts.modifiers.base import Modified
from whole_in_parts.schedules import Clock

LOCAL = 2
"""The number of local crops of an image."""

DEPTH = 5
"""Hidden layers of the affinity, as in the paper."""

WIDTH = 256
"""Their width, as in the authors' code."""

NOISE = 0.3
"""The standard deviation of the noise on positive pairs, per √D."""

WEIGHT_DECAY = 1e-4
"""The weight decay of the optimizers of the authors' code."""

TINY = 1e-12
"""The lower bound of a norm that a gradient is divided by."""


class Affinity(nn.Module):
    """A logit for each pair of embeddings (B, D): how likely both are of the same image.

    Every process computes it for the pairs of all processes, so its batch norm needs no synchronisation.
    """

    gathered = True

    def __init__(self, features: int) -> None:
        super().__init__()
        self.layers = mlp([2 * features] + [WIDTH] * DEPTH + [1])

    def forward(self, first_BD: Tensor, second_BD: Tensor) -> Tensor:
        return to_float32(self.layers(torch.cat([first_BD, second_BD], 1))[:, 0])


class LoGo(Modified[AnyJointEmbedding, LoGoConfig]):
    """A joint-embedding base with two local crops, which `local_to_local: false` does not push apart."""

    def __init__(self, base: AnyJointEmbedding, options: LoGoConfig) -> None:
        super().__init__(base, options)
        if options.local_to_local:
            self.affinity = Affinity(base.options.projector[-1])

    def crops(self, views: Sequence[View], size: int) -> list[Crop]:
        return self.base.crops(views, size) + [Crop(self.options.view, self.options.size)] * LOCAL

    def forward(self, batch: Batch) -> Output:
        encoded = self.base.encode(batch.views)
        embedded = self.base.embed_global(encoded)
        losses = self.align(embedded)

        if self.options.local_to_local:
            first_BD, second_BD = (gathered_units(z_1BD[0]) for z_1BD in embedded.projected[-LOCAL:])
            losses["affinity"] = self.affinity_loss(first_BD.detach(), second_BD.detach())
            losses["apart"] = F.softplus(self.affinity(first_BD, second_BD)).mean()
        return Output(losses, self.base.kept_features(encoded))

    def align(self, embedded: Embedded) -> Losses:
        """The base's own loss, as a mean over the pairs."""
        pair_ratio = self.base.pair_ratio(len(embedded.online))
        return {name: loss / pair_ratio for name, loss in self.base.losses(embedded).items()}

    def affinity_loss(self, first_BD: Tensor, second_BD: Tensor) -> Tensor:
        """The logistic loss of the affinity: noisy pairs of the same image against pairs of different images."""
        noisy = [z_BD + NOISE / z_BD.shape[1] ** 0.5 * noise_like(z_BD) for z_BD in (first_BD, second_BD)]
        same = [(noisy[0], noisy[1]), (noisy[1], noisy[0])]
        different = [(first_BD, second_BD.flip(0)), (second_BD, first_BD.flip(0))]
        logits = [-self.affinity(*pair) for pair in same] + [self.affinity(*pair) for pair in different]
        return torch.stack([F.softplus(logit_B).mean() for logit_B in logits]).sum() / 2

    def backward(self, losses: Losses) -> None:
        """Add the gradients of all terms; the one that pushes apart reaches the encoder alone, scaled to `ratio`."""
        apart = losses.get("apart")
        rest = [loss for name, loss in losses.items() if name != "apart"]
        torch.stack(rest).sum().backward(retain_graph=apart is not None)
        if apart is None:
            return

        encoder = [parameter for parameter in self.base.parameters() if parameter.grad is not None]
        gradients = torch.autograd.grad(apart, encoder, allow_unused=True, materialize_grads=True)
        # DistributedDataParallel has averaged the gradients of the other terms, but it does not know of these.
        averaged = [all_reduce_mean(gradient) for gradient in gradients]
        norm = grad_norm(parameter.grad for parameter in encoder)
        scale = self.options.ratio * norm / grad_norm(averaged).clamp(min=TINY)
        for parameter, gradient in zip(encoder, averaged, strict=True):
            assert parameter.grad is not None
            parameter.grad.add_(gradient * scale)


class PublicLoGo(LoGo):
    """The authors' code: before each step, the affinity takes a step, and the encoder one against it, by optimizers of
    their own. The gradient of the latter is clipped to `ratio` times the norm of the last step's gradient, which is set
    to zero at the start of an epoch.

    Their code moves the target network twice a step: square the run's `momentum` for that.
    """

    last_norm: Tensor

    def __init__(self, base: AnyJointEmbedding, options: LoGoConfig) -> None:
        super().__init__(base, options)
        self.affinity.requires_grad_(False)
        self.encoder = [parameter for parameter in base.parameters() if parameter.requires_grad]
        self.optimizers = {
            "affinity": self.sgd(self.affinity.parameters()),
            "encoder": self.sgd(self.encoder),
        }
        self.register_buffer("last_norm", torch.zeros(()))

    def sgd(self, parameters: Iterable[nn.Parameter]) -> SGD:
        """SGD as in the authors' code; biases and norms decay if they do in the base."""
        groups = parameter_groups(parameters, WEIGHT_DECAY, self.base.decays_1d)
        return SGD(groups, self.options.learning_rate, momentum=0.9)

    def prepare(self, clock: Clock) -> None:
        super().prepare(clock)
        for group in self.optimizers["encoder"].param_groups:
            group["lr"] = clock.learning_rate
        if clock.step % clock.per_epoch == 0:
            self.last_norm.zero_()

    def forward(self, batch: Batch) -> Output:
        self.push_apart(batch.views[-LOCAL:])
        encoded = self.base.encode(batch.views)
        return Output(self.align(self.base.embed_global(encoded)), self.base.kept_features(encoded))

    def push_apart(self, local: list[Tensor]) -> None:
        """Take a step of the affinity, then a step of the encoder against it."""
        global_ = [self.base.encode_online(view_BCSS).global_BD[None] for view_BCSS in local]
        first_BD, second_BD = (gathered_units(self.base.heads.project(x_1BC)[0]) for x_1BC in global_)

        self.affinity.requires_grad_(True)
        self.step("affinity", self.affinity_loss(first_BD.detach(), second_BD.detach()))
        self.affinity.requires_grad_(False)
        self.step("encoder", F.softplus(self.affinity(first_BD, second_BD)).mean())

    def step(self, name: str, loss: Tensor) -> None:
        optimizer = self.optimizers[name]
        optimizer.zero_grad()
        loss.backward()
        if name == "encoder":
            average_gradients(self.encoder)
            gradients = [parameter.grad for parameter in self.encoder if parameter.grad is not None]
            clip_grads_(gradients, self.options.ratio * self.last_norm)
        optimizer.step()
        # The run's optimizer must not take this gradient once more.
        optimizer.zero_grad()

    def backward(self, losses: Losses) -> None:
        super().backward(losses)
        self.last_norm.copy_(grad_norm(parameter.grad for parameter in self.encoder))

    def get_extra_state(self) -> dict:
        return {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()}

    def set_extra_state(self, state: dict) -> None:
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state[name])


def gathered_units(z_BD: Tensor) -> Tensor:
    """The embeddings of all processes as unit vectors, as the affinity takes them (a collective)."""
    return gather(F.normalize(to_float32(z_BD)))


def noise_like(z_BD: Tensor) -> Tensor:
    """Normal noise of the shape of a tensor, drawn on the CPU, so that it is the same on every device."""
    return copy_async(torch.randn(z_BD.shape, dtype=z_BD.dtype), z_BD.device)


def grad_norm(gradients: Iterable[Tensor | None]) -> Tensor:
    """The Euclidean norm of a gradient that is spread over several tensors."""
    return torch.stack([gradient.norm() for gradient in gradients if gradient is not None]).norm()


def clip_grads_(gradients: list[Tensor], max_norm: Tensor) -> None:
    """Clip a gradient in place, as `clip_grad_norm_` does, but without waiting for the device to know the norm."""
    factor = (max_norm / (grad_norm(gradients) + 1e-6)).clamp(max=1)
    for gradient in gradients:
        gradient.mul_(factor)


def modify(method: AnyJointEmbedding, options: LoGoConfig, size: int) -> LoGo:
    return PublicLoGo(method, options) if options.mode == "public" else LoGo(method, options)
