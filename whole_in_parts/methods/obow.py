"""OBoW: from crops, a student predicts which visual words its EMA teacher finds in the whole image (Gidaris et al.,
2021, "OBoW: online bag-of-visual-words generation for self-supervised learning", arXiv:2012.11552; the authors' code,
`docs/methods.md` A.17).

The words are local means of the teacher's maps of the last images, in a queue for each of the last two maps. A
generator makes of every word the weight by which the student predicts it, so that the words can change all the time. No
gradient reaches the teacher or the words.

Shapes: B images, C channels, P positions, N = P · B, K words, F features, S crops of one kind.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whole_in_parts.async_copy import copy_async
from whole_in_parts.augment.randomness import uniforms
from whole_in_parts.augment.views import Batch, Crop
from whole_in_parts.config.methods.obow import LEVELS, OBoWConfig
from whole_in_parts.config.views import View
from whole_in_parts.distributed.collectives import all_reduce_mean, local_shard, world_size
from whole_in_parts.methods.base import Method, Output, kept_features
from whole_in_parts.models.backbone import Backbone, Representations
from whole_in_parts.models.ema import EMATeacher
from whole_in_parts.models.heads import by_position, mlp
from whole_in_parts.models.precision import autocast_disabled, to_float32
from whole_in_parts.models.prototypes import Normalize, cross_entropy
from whole_in_parts.models.queue import Queue
from whole_in_parts.schedules import Clock
from whole_in_parts.shapes import Float

WINDOW = 3
"""A word is the mean of WINDOW × WINDOW positions, or of all positions of a smaller map."""

DECAY = 0.99
"""Of the moving average of the distance to the nearest word (authors' code)."""

FIRST_DISTANCE = 0.5
"""Its first value (authors' code)."""

TINY = 1e-12
"""The lower bound of the distance that others are divided by."""


class Vocabulary(nn.Module):
    """The visual words of one map, the bags that the teacher makes of them, and the weights that predict them.

    All processes have the same words, so the generator's batch norm needs no synchronisation.
    """

    gathered = True
    distance: Tensor

    def __init__(self, channels: int, features: int, options: OBoWConfig, level: int) -> None:
        super().__init__()
        self.inverse_delta = options.inverse_delta
        self.level = level
        self.queue = Queue(options.queue, channels)
        generator = mlp([channels, 2 * features, features], bias=False, last_bias=True)
        self.generator = nn.Sequential(Normalize(), generator, Normalize())
        self.register_buffer("distance", torch.tensor(FIRST_DISTANCE))
        self.batch_distances: list[Tensor] = []

    def weights(self) -> Float[Tensor, "K F"]:
        """The weights of the student's prediction, a unit vector for each word."""
        return to_float32(self.generator(self.queue.vectors_KD))

    @torch.no_grad()
    def bag(self, map_BCNN: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        """The share of each word in each image (a collective); a word of each image enters the queue after the step.

        A position is assigned to all words, by a softmax over squared distances; the bag is the maximum over positions,
        with a sum of one.
        """
        map_BCNN = without_border(to_float32(map_BCNN))
        with autocast_disabled(map_BCNN):
            # Squared distances without ‖x‖², which the softmax over the words does not depend on.
            x_PBC, words_KC = by_position(map_BCNN), self.queue.vectors_KD
            partial_NK = torch.addmm(words_KC.square().sum(1), x_PBC.flatten(0, 1), words_KC.T, alpha=-2)

            nearest_N = (x_PBC.flatten(0, 1).square().sum(1) + partial_NK.amin(1)).clamp(min=0)
            self.batch_distances.append(all_reduce_mean(nearest_N.mean()))
            distance = self.distance.lerp(self.batch_distances[-1], 1 - DECAY).clamp(min=TINY)

            # In place, since there is a number for each position and word.
            codes_NK = torch.softmax(partial_NK.mul_(-self.inverse_delta / distance), dim=1)
            most_BK = codes_NK.unflatten(0, x_PBC.shape[:2]).amax(0)
        self.queue.enqueue(self.draw(map_BCNN)[None])
        return most_BK / most_BK.sum(1, keepdim=True)

    def draw(self, map_BCNN: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C"]:
        """The mean of a window of each image, at a place that depends on torch's seed and the image's number alone.

        The number is that in the batch of all processes, so it does not matter how many there are.
        """
        means_PBC = by_position(F.avg_pool2d(map_BCNN, min(WINDOW, *map_BCNN.shape[2:]), stride=1))
        places, images, _ = means_PBC.shape

        numbers_B = local_shard(np.arange(images * world_size()))
        context = (torch.initial_seed(), "words", self.level, len(self.batch_distances))
        drawn_B = torch.from_numpy(uniforms(numbers_B, *context) * places).long()
        return means_PBC[copy_async(drawn_B, map_BCNN.device), torch.arange(images, device=map_BCNN.device)]

    def update(self, clock: Clock) -> None:
        """Let the words of this step into the queue, and move the average distance."""
        self.queue.push(clock.step)
        self.distance.lerp_(torch.stack(self.batch_distances).mean(), 1 - DECAY)
        self.batch_distances.clear()


class OBoW(Method):
    """The online network is the student, which is kept; the target network is the teacher."""

    views = 1
    decays_1d = True

    def __init__(self, backbone: Backbone, options: OBoWConfig, size: int) -> None:
        super().__init__()
        check(backbone, options, size)
        self.options = options
        self.networks = EMATeacher(backbone, options.momentum)
        self.vocabularies: Sequence[Vocabulary] = nn.ModuleList(  # type: ignore[assignment]
            Vocabulary(width, backbone.features, options, level)
            for level, width in enumerate(backbone.widths[-LEVELS:])
        )

    @property
    def backbone(self) -> Backbone:  # type: ignore[override]
        return self.networks.online

    def crops(self, views: Sequence[View], size: int) -> list[Crop]:
        """The teacher's view, then the student's crops."""
        kinds = self.options.crops
        return super().crops(views, size) + [Crop(kind.view, kind.size) for kind in kinds for _ in range(kind.count)]

    def forward(self, batch: Batch) -> Output:
        # Teacher: the whole image, without gradients.
        with torch.no_grad():
            maps = self.networks.target(batch.views[0]).maps[-LEVELS:]
        bags = [words.bag(map_BCNN) for words, map_BCNN in zip(self.vocabularies, maps, strict=True)]

        # Student: the crops.
        crops = [self.networks.online(view_BCSS) for view_BCSS in batch.views[1:]]
        weights = [words.weights() for words in self.vocabularies]
        global_SBF = torch.stack([to_float32(crop.global_BD) for crop in crops])

        # A mean over the crops of a kind, so each kind counts the same.
        with autocast_disabled(global_SBF):
            kinds = global_SBF.split([kind.count for kind in self.options.crops])
            loss = torch.stack([self.predict(kind_SBF, weights, bags) for kind_SBF in kinds]).sum()
        return Output({"bags": loss}, kept_features([self.evaluate(batch.views[0])]))

    @torch.no_grad()
    def evaluate(self, view_BCSS: Tensor) -> Representations:
        """The student's representations of the teacher's view, which it does not learn from, in evaluation mode.

        So its batch norms have the statistics of crops alone.
        """
        student = self.networks.online
        training = student.training
        representations = student.eval()(view_BCSS)
        student.train(training)
        return representations

    def predict(
        self, global_SBF: Float[Tensor, "S B F"], weights: Sequence[Tensor], bags: Sequence[Tensor]
    ) -> Float[Tensor, ""]:
        """The cross-entropy of the bags (B, K) and their prediction by weights (K, F), a mean over crops and maps."""
        terms = [
            cross_entropy(global_SBF @ weights_KF.T, bag_BK[None], 1 / self.options.kappa)
            for weights_KF, bag_BK in zip(weights, bags, strict=True)
        ]
        return torch.stack(terms).mean()

    def update(self, clock: Clock) -> None:
        self.networks.ema_update(clock)
        for words in self.vocabularies:
            words.update(clock)


def without_border(map_BCNN: Tensor) -> Tensor:
    """A map without the positions at its border, which padding distorts, if a whole window is left."""
    if min(map_BCNN.shape[2:]) < WINDOW + 2:
        return map_BCNN
    return map_BCNN[:, :, 1:-1, 1:-1]


def check(backbone: Backbone, options: OBoWConfig, size: int) -> None:
    """Check that the backbone has two maps, and takes the crops.

    Raises:
        ValueError: it has one map, or does not accept images of a crop's size.
    """
    if len(backbone.widths) < LEVELS:
        raise ValueError(f"backbone: obow takes words from the last {LEVELS} maps, and this one has one map")
    for side in (size, *(kind.size for kind in options.crops)):
        backbone.map_sizes(side)


def build(options: OBoWConfig, backbone: Backbone, classes: int, size: int) -> OBoW:
    return OBoW(backbone, options, size)
