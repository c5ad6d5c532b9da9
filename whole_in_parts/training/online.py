"""The online evaluation beside a training, on features without gradients: it does not change the training.

A linear probe learns from the representations that the method computes of the large views anyway. At intervals, the
backbone is evaluated on a subset of the test images: top-1 of the probe and of kNN, and collapse diagnostics
(`collapse.py`). Shapes: B images of a batch, N images of a subset, D features, C classes.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whole_in_parts.augment.randomness import stratified
from whole_in_parts.config.runs import Run
from whole_in_parts.data.shards import Images
from whole_in_parts.distributed.collectives import gather, gather_uneven, local_shard
from whole_in_parts.evaluation.nearest_neighbours import CHUNK, nearest, vote
from whole_in_parts.failure import Failure
from whole_in_parts.methods.base import Method
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.schedules import Clock
from whole_in_parts.training import collapse, optimizers

TEMPERATURE = 0.07
"""The temperature of the kNN votes (Wu et al., 2018)."""

MEASURED = ("online_linear", "online_knn", "rank", "spread", "collapsed")
BATCH = 500


class EvalSubset:
    """A stratified subset of a split, always the same: its labels (N,) and its images in batches."""

    def __init__(self, images: Images, samples: int, device: torch.device) -> None:
        self.images = images
        self.device = device
        self.indices = stratified(images.shards.labels, samples, "online")
        self.labels_N = torch.from_numpy(images.shards.labels[self.indices]).to(device)

    def batches(self) -> Iterator[Tensor]:
        """This process's shard of the images, in batches (B, C, S, S) in [0, 1]."""
        indices = local_shard(self.indices)
        for start in range(0, len(indices), BATCH):
            yield self.images[indices[start : start + BATCH]].to(self.device).float() / 255

    def features(self, backbone: Backbone) -> Tensor:
        """The global representations (N, D) of all images; every process computes its shard (a collective)."""
        batches = [backbone(images_BCSS).global_BD for images_BCSS in self.batches()]
        own_ND = torch.cat(batches) if batches else torch.empty(0, backbone.features, device=self.device)
        return gather_uneven(own_ND)


class OnlineEvaluation:
    """A linear probe with its own optimizer, so that its learning rate means the same beside SGD, AdamW and LARS.

    The probe standardises its features, as that of `stages/linear.py` does, so that its learning rate does not depend
    on their norm either.
    """

    def __init__(self, run: Run, features: int, train: Images, test: Images, device: torch.device) -> None:
        """
        Raises:
            Failure: the subset has no image of any class, or fewer images than neighbours.
        """
        self.run = run
        self.captured: list[tuple[Tensor, Tensor]] = []
        self.bank = EvalSubset(train, run.online.samples, device)
        self.test = EvalSubset(test, run.online.samples, device)
        if not len(self.test.indices):
            raise Failure(f"online.samples: {run.online.samples} of {len(test)} images is not one image of any class")
        if run.online.neighbours > len(self.bank.indices):
            raise Failure(f"online.neighbours: {run.online.neighbours} of {len(self.bank.indices)} training images")

        self.probe = linear_probe(features, len(train.shards.classes)).to(device)
        self.optimizer = torch.optim.SGD(self.probe.parameters(), lr=0.0, momentum=optimizers.MOMENTUM)

    def add_features(self, views: list[Tensor], labels_B: Tensor) -> None:
        """Keep the representations (B, D) of the views of a batch for the probe's next step."""
        self.captured.append((torch.cat(views), labels_B.repeat(len(views))))

    def step(self, clock: Clock) -> None:
        """Take a step of the probe on the features captured since its last step, by all processes (a collective)."""
        x_ND = gather(torch.cat([features for features, _ in self.captured]))
        labels_N = gather(torch.cat([labels for _, labels in self.captured]))
        self.captured.clear()

        schedule = optimizers.run_schedule(self.run, clock.per_epoch, self.run.online.learning_rate)
        self.optimizer.param_groups[0]["lr"] = schedule.learning_rate(clock.step)
        self.optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(self.probe(x_ND), labels_N).backward()
        self.optimizer.step()

    def due(self, clock: Clock) -> bool:
        """Whether to evaluate after `clock.step` steps."""
        return clock.step % (self.run.online.every * clock.per_epoch) == 0 or clock.step == clock.steps

    @torch.no_grad()
    def evaluate(self, method: Method) -> dict[str, float]:
        """Compute the metrics in `MEASURED`: accuracies in per cent and collapse diagnostics (a collective)."""
        with evaluating(method), evaluating(self.probe):
            bank_ND = self.bank.features(method.backbone)
            test_ND = self.test.features(method.backbone)
            logits_NC = self.probe(test_ND)
            z_ND = method.project(test_ND)

        neighbours = nearest(bank_ND, self.bank.labels_N, test_ND.split(CHUNK), self.run.online.neighbours)
        votes_NC = vote(*neighbours, TEMPERATURE)
        spread = collapse.spread(z_ND)
        return {
            "online_linear": top1(logits_NC, self.test.labels_N),
            "online_knn": top1(votes_NC, self.test.labels_N),
            "rank": collapse.rank(z_ND),
            "spread": spread,
            "collapsed": int(collapse.collapsed(spread)),
        }

    def state_dict(self) -> dict:
        return {"probe": self.probe.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.probe.load_state_dict(state["probe"])
        self.optimizer.load_state_dict(state["optimizer"])


def linear_probe(features: int, classes: int) -> nn.Sequential:
    """A linear layer, initialised to zero, on standardised features."""
    layer = nn.Linear(features, classes)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return nn.Sequential(nn.BatchNorm1d(features, affine=False), layer)


def top1(scores_NC: Tensor, labels_N: Tensor) -> float:
    """Accuracy in per cent."""
    return 100 * (scores_NC.argmax(1) == labels_N.to(scores_NC.device)).double().mean().item()


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode within the context; afterwards every module is in the mode that it was in."""
    modes = [(child, child.training) for child in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for child, training in modes:
            child.training = training
