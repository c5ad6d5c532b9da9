"""Multinomial logistic regression by L-BFGS, its penalty chosen on held-out samples.

The protocol of linear evaluation in transfer (Kornblith et al., 2019, arXiv:1805.08974, as LoGo's Table 5 takes it
over; `docs/methods.md` E.11): features as they are, the sum of the cross-entropies and weight · ‖θ‖², biases included; the
weight that is best on a part of the training samples; then a fit on all of them.

Elsewhere, as in scikit-learn, the sum is C · Σ cross-entropy + ½ ‖θ‖²: the same minimum for C = 1 / (2 · weight), where
the biases are the weights of a feature that is one.

Shapes: N samples, D features, C classes.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whole_in_parts.augment.randomness import stratified
from whole_in_parts.evaluation.linear_probe import top1, zero_linear
from whole_in_parts.failure import Failure
from whole_in_parts.progress import progress

WEIGHTS = tuple(np.logspace(-6, 5, 45).tolist())
HELD_OUT = 0.1
"""The share of each class that chooses the weight."""

ITERATIONS = 5000


def fit(x_ND: Tensor, y_N: Tensor, classes: int, weights: Sequence[float] = WEIGHTS) -> tuple[nn.Linear, float]:
    """The classifier (D → C), and the weight of its penalty: of equally good ones, the smallest.

    Raises:
        Failure: the samples are too few to hold some out.
    """
    chooses_N = held_out(y_N)
    layer, found = zero_linear(x_ND, classes), []
    for weight in progress(weights, "penalties", unit="fit"):
        minimise(layer, x_ND[~chooses_N], y_N[~chooses_N], weight)  # from the last fit on
        state = {name: value.clone() for name, value in layer.state_dict().items()}
        found.append((top1(layer(x_ND[chooses_N]), y_N[chooses_N]), weight, state))
    _, weight, state = max(found, key=lambda one: one[0])
    layer.load_state_dict(state)
    minimise(layer, x_ND, y_N, weight)
    return layer.requires_grad_(False), weight


def held_out(y_N: Tensor) -> Tensor:
    """Which samples (N,) choose the weight: the same share of each class, always the same ones."""
    indices = stratified(y_N.cpu().numpy(), HELD_OUT * len(y_N), "penalty")
    if not len(indices):
        raise Failure(
            f"of {len(y_N)} training samples, {HELD_OUT:.0%} of each class is no sample to choose a penalty by"
        )
    chooses_N = torch.zeros(len(y_N), dtype=torch.bool, device=y_N.device)
    chooses_N[torch.from_numpy(indices)] = True
    return chooses_N


def minimise(layer: nn.Linear, x_ND: Tensor, y_N: Tensor, weight: float) -> None:
    """Fit a classifier in place, from where it is."""
    optimizer = torch.optim.LBFGS(
        layer.parameters(),
        max_iter=ITERATIONS,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-10,
        tolerance_change=0,
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        penalty = torch.stack([parameter.square().sum() for parameter in layer.parameters()]).sum()
        total = F.cross_entropy(layer(x_ND), y_N, reduction="sum") + weight * penalty
        total.backward()
        return total

    optimizer.step(loss)
