"""The online evaluation beside a training, on features without gradients: it does not change the training.

Linear probes learn from the representations that the method computes of the large views anyway, if the images have
labels: of each, one on standardised features (`online_linear`) and one on the features as they are, as in solo-learn
and so in CO-SSL (`online_plain`; `docs/methods.md` E.1). At intervals, the backbone is evaluated on a subset of the
test images: top-1 of the probes and of kNN, and collapse diagnostics (`collapse.py`). After the last step, the probes
are evaluated on all test images. Shapes: B images of a batch, V views, N images of a subset, D features, C classes.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whole_in_parts.augment.randomness import stratified
from whole_in_parts.config.datasets import UNLABELLED
from whole_in_parts.config.runs import Run
from whole_in_parts.data.shards import Images
from whole_in_parts.distributed.collectives import gather, gather_uneven, local_shard
from whole_in_parts.evaluation.linear_probe import zero_linear
from whole_in_parts.evaluation.metric_names import suffix
from whole_in_parts.evaluation.nearest_neighbours import CHUNK, nearest, vote
from whole_in_parts.failure import Failure
from whole_in_parts.methods.base import Method, kept_features
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.schedules import Clock
from whole_in_parts.training import collapse, optimizers

TEMPERATURE = 0.07
"""The temperature of the kNN votes (Wu et al., 2018)."""

PROBES = ("online_linear", "online_plain")
MEASURED = (*PROBES, *(f"{name}_patch" for name in PROBES), "online_knn", "rank", "spread", "collapsed")
"""The names of all metrics; those of `patch` are left out if nothing follows the pooling."""

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

    def features(self, backbone: Backbone, widths: dict[str, int]) -> dict[str, Tensor]:
        """The representations (N, D) of all images by name; every process computes its shard (a collective)."""
        batches = [kept_features([backbone(images_BCSS)]) for images_BCSS in self.batches()]
        features = {}
        for name, width in widths.items():
            own = [batch[name] for batch in batches] or [torch.empty(0, width, device=self.device)]
            features[name] = gather_uneven(torch.cat(own))
        return features


class OnlineEvaluation:
    """Linear probes with an optimizer of their own, so that their rate means the same beside SGD, AdamW and LARS."""

    def __init__(self, run: Run, backbone: Backbone, train: Images, test: Images, device: torch.device) -> None:
        """
        Raises:
            Failure: the subset has no image of any class, or fewer images than neighbours.
        """
        self.run = run
        self.has_labels = run.split != UNLABELLED
        self.captured: list[tuple[dict[str, Tensor], Tensor]] = []
        self.bank = EvalSubset(train, run.online.samples, device)
        self.test = EvalSubset(test, run.online.samples, device)
        self.all_test = EvalSubset(test, len(test), device)
        if not len(self.test.indices):
            raise Failure(f"online.samples: {run.online.samples} of {len(test)} images is not one image of any class")
        if run.online.neighbours > len(self.bank.indices):
            raise Failure(f"online.neighbours: {run.online.neighbours} of {len(self.bank.indices)} training images")

        self.widths = representation_widths(backbone, run.image_size)
        self.probes = LinearProbes(self.widths, len(train.shards.classes)).to(device)
        self.optimizer = torch.optim.SGD(self.probes.parameters(), lr=0.0, momentum=optimizers.MOMENTUM)

    def add_features(self, features: dict[str, Tensor], labels_B: Tensor) -> None:
        """Keep the representations (V·B, D) of the views of a batch for the probes' next step, if there are labels."""
        if not self.has_labels:
            return
        views = len(features["global"]) // len(labels_B)
        self.captured.append((features, labels_B.repeat(views)))

    def step(self, clock: Clock) -> None:
        """Take a step of the probes on the features captured since their last step, by all processes (a collective)."""
        if not self.has_labels:
            return
        names = self.captured[0][0]
        features = {name: gather(torch.cat([piece[name] for piece, _ in self.captured])) for name in names}
        labels_N = gather(torch.cat([labels for _, labels in self.captured]))
        self.captured.clear()

        schedule = optimizers.run_schedule(self.run, clock.per_epoch, self.run.online.learning_rate)
        self.optimizer.param_groups[0]["lr"] = schedule.learning_rate(clock.step)
        self.optimizer.zero_grad(set_to_none=True)
        losses = [F.cross_entropy(logits_NC, labels_N) for logits_NC in self.probes(features).values()]
        torch.stack(losses).sum().backward()
        self.optimizer.step()

    def due(self, clock: Clock) -> bool:
        """Whether to evaluate after `clock.step` steps."""
        return clock.step % (self.run.online.every * clock.per_epoch) == 0 or clock.step == clock.steps

    @torch.no_grad()
    def evaluate(self, method: Method, clock: Clock) -> dict[str, float]:
        """Compute the metrics in `MEASURED`: accuracies in per cent and collapse diagnostics (a collective).

        Without labels there are no probes.
        """
        with evaluating(method), evaluating(self.probes):
            bank = self.bank.features(method.backbone, self.widths)
            test = self.test.features(method.backbone, self.widths)
            probed, labels_N = test, self.test.labels_N
            if clock.step == clock.steps:
                probed = self.all_test.features(method.backbone, self.widths)
                labels_N = self.all_test.labels_N
            logits = self.probes(probed) if self.has_labels else {}
            z_ND = method.project(test["global"])

        test_chunks = test["global"].split(CHUNK)
        neighbours = nearest(bank["global"], self.bank.labels_N, test_chunks, self.run.online.neighbours)
        votes_NC = vote(*neighbours, TEMPERATURE)
        spread = collapse.spread(z_ND)
        return {name: top1(logits_NC, labels_N) for name, logits_NC in logits.items()} | {
            "online_knn": top1(votes_NC, self.test.labels_N),
            "rank": collapse.rank(z_ND),
            "spread": spread,
            "collapsed": int(collapse.collapsed(spread)),
        }

    def state_dict(self) -> dict:
        return {"probes": self.probes.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.probes.load_state_dict(state["probes"])
        self.optimizer.load_state_dict(state["optimizer"])


class LinearProbes(nn.Module):
    """Two linear layers on each representation: on standardised features, so that the learning rate does not depend on
    their norm, and on the features as they are.
    """

    def __init__(self, widths: dict[str, int], classes: int) -> None:
        super().__init__()
        self.standardise = nn.ModuleDict({name: nn.BatchNorm1d(width, affine=False) for name, width in widths.items()})
        self.linear, self.plain = (
            nn.ModuleDict({name: zero_linear(torch.empty(0, width), classes) for name, width in widths.items()})
            for _ in range(2)
        )

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Compute the logits (N, C) of representations (N, D), by the names of their metrics."""
        logits = {}
        for name, x_ND in features.items():
            logits[f"online_linear{suffix(name)}"] = self.linear[name](self.standardise[name](x_ND))
            logits[f"online_plain{suffix(name)}"] = self.plain[name](x_ND)
        return logits


def representation_widths(backbone: Backbone, image_size: int) -> dict[str, int]:
    """Infer the widths of the representations that are probed."""
    return {name: x_BD.shape[1] for name, x_BD in kept_features([backbone.infer(image_size)]).items()}


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
