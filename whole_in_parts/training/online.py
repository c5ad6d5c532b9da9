"""The evaluation beside a training, on features without their gradient: it changes nothing of what is trained.

A linear probe learns from the representations that the method has made of its large views anyway. At intervals, the
backbone is asked about a part of the test images: top-1 of the probe and of kNN, and whether the embeddings are about
to collapse (`collapse.py`). Shapes: B images of a batch, N of a part, D features, C classes.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whole_in_parts.augment.randomness import stratified
from whole_in_parts.data.shards import Images
from whole_in_parts.distributed.collectives import gather, gather_uneven, local_shard
from whole_in_parts.evaluation.nearest_neighbours import CHUNK, nearest, vote
from whole_in_parts.failure import Failure
from whole_in_parts.methods.base import Method
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.schedules import Clock
from whole_in_parts.training import collapse, optimizers

TEMPERATURE = 0.07
"""Of the kNN's votes (Wu et al., 2018)."""

MEASURED = ("online_linear", "online_knn", "rank", "spread", "collapsed")
BATCH = 500


class EvalSubset:
    """A part of a split, the same share of each class and always the same, by `labels_N` and `batches`."""

    def __init__(self, images: Images, samples: int, device: torch.device):
        self.images, self.device = images, device
        self.indices = stratified(images.shards.labels, samples, "online")
        self.labels_N = torch.from_numpy(images.shards.labels[self.indices]).to(device)

    def batches(self) -> Iterator[Tensor]:
        """This process's share of the images (B, C, S, S), in [0, 1]."""
        indices = local_shard(self.indices)
        for start in range(0, len(indices), BATCH):
            yield self.images[indices[start : start + BATCH]].to(self.device).float() / 255

    def features(self, backbone: Backbone) -> Tensor:
        """The global representations (N, D) of all images, of which each process computes its share."""
        shares = [backbone(images_BCSS).global_BD for images_BCSS in self.batches()]
        return gather_uneven(torch.cat(shares) if shares else torch.empty(0, backbone.features, device=self.device))


class Online:
    """The probe with its own optimizer, so that its learning rate means the same beside SGD, AdamW and LARS.

    It standardises what it reads, as the probe of `stages/linear.py` does: so its learning rate means the same for
    features of any length, too.
    """

    def __init__(self, run, features: int, train: Images, test: Images, device: torch.device):
        """
        Raises:
            Failure: the samples are too few for an image of some class, or for as many neighbours.
        """
        self.run, self.heard = run, list[tuple[Tensor, Tensor]]()
        self.bank, self.test = (
            EvalSubset(train, run.online.samples, device),
            EvalSubset(test, run.online.samples, device),
        )
        if not len(self.test.indices):
            raise Failure(f"online.samples: {run.online.samples} of {len(test)} images is not one image of any class")
        if run.online.neighbours > len(self.bank.indices):
            raise Failure(f"online.neighbours: {run.online.neighbours} of {len(self.bank.indices)} training images")
        self.probe = probe(features, len(train.shards.classes)).to(device)
        self.optimizer = torch.optim.SGD(self.probe.parameters(), lr=0.0, momentum=optimizers.MOMENTUM)

    @contextmanager
    def hear(self, backbone: Backbone, labels_B: Tensor) -> Iterator[None]:
        """Keep the representations (B, D) that a backbone gives of the large views, which come first, meanwhile."""
        views: list[Tensor] = []
        hook = backbone.register_forward_hook(lambda _, images, given: views.append(given.global_BD.detach().float()))
        try:
            yield
        finally:
            hook.remove()
        views = views[: len(self.run.views)]
        self.heard.append((torch.cat(views), labels_B.repeat(len(views))))

    def learn(self, clock: Clock) -> None:
        """A step of the probe on what was heard since the last one, by all processes."""
        options = self.run.optimizer
        x_ND, labels_N = (gather(torch.cat(heard)) for heard in zip(*self.heard, strict=True))
        self.heard.clear()
        peak = self.run.online.learning_rate * self.run.batch_size / optimizers.BATCH
        rate = optimizers.learning_rate(clock.step, clock.steps, options.warmup_epochs * clock.per_epoch, peak)
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(self.probe(x_ND), labels_N).backward()
        self.optimizer.step()

    def due(self, clock: Clock) -> bool:
        """Whether to evaluate after the steps that are done."""
        return clock.step % (self.run.online.every * clock.per_epoch) == 0 or clock.step == clock.steps

    @torch.no_grad()
    def evaluate(self, method: Method) -> dict[str, float]:
        """What is `MEASURED`: accuracies in per cent, and how the embeddings of the test images lie (`collapse.py`)."""
        with evaluating(method), evaluating(self.probe):
            bank_ND, test_ND = (part.features(method.backbone) for part in (self.bank, self.test))
            logits_NC, z_ND = self.probe(test_ND), method.project(test_ND)
        neighbours = nearest(bank_ND, self.bank.labels_N, test_ND.split(CHUNK), self.run.online.neighbours)
        accuracies = [top1(scores_NC, self.test.labels_N) for scores_NC in (logits_NC, vote(*neighbours, TEMPERATURE))]
        rank, spread = collapse.rank(z_ND), collapse.spread(z_ND)
        return dict(zip(MEASURED, [*accuracies, rank, spread, int(collapse.collapsed(spread))], strict=True))

    def state_dict(self) -> dict:
        return {"probe": self.probe.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.probe.load_state_dict(state["probe"])
        self.optimizer.load_state_dict(state["optimizer"])


def probe(features: int, classes: int) -> nn.Sequential:
    """A linear layer that begins at zero, on standardised features."""
    layer = nn.Linear(features, classes)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return nn.Sequential(nn.BatchNorm1d(features, affine=False), layer)


def top1(scores_NC: Tensor, labels_N: Tensor) -> float:
    """Accuracy in per cent."""
    return 100 * (scores_NC.argmax(1) == labels_N.to(scores_NC.device)).double().mean().item()


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode for the time being; then each part is in the mode that it was in."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
