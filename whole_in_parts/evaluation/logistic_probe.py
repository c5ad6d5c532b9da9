"""Multinomial logistic regression by L-BFGS, with an L2 penalty selected on held-out training samples.

This is the protocol of linear evaluation in transfer (Kornblith et al., 2019, arXiv:1805.08974; used for LoGo's
Table 5; `docs/methods.md` E.11). Features are not standardised. The objective is the sum of the cross-entropies plus
weight · ‖θ‖², biases included. The weight with the best accuracy on a held-out part of the training samples is
selected, and the classifier is then fitted on all training samples.

scikit-learn minimises C · Σ cross-entropy + ½ ‖θ‖². Its minimum is the same for C = 1 / (2 · weight) if the biases are
the weights of a constant feature of one.

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
"""The share of each class that is held out to select the weight of the penalty."""

ITERATIONS = 5000


def fit(x_ND: Tensor, y_N: Tensor, classes: int, weights: Sequence[float] = WEIGHTS) -> tuple[nn.Linear, float]:
    """Fit a classifier (D → C); return it with the selected weight of the penalty, the smallest in case of a tie.

    Raises:
        Failure: there are too few samples to hold any out.
    """
    held_out_N = held_out(y_N)
    layer = zero_linear(x_ND, classes)
    candidates = []

    for weight in progress(weights, "penalties", unit="fit"):
        # Start from the solution for the previous weight.
        minimise(layer, x_ND[~held_out_N], y_N[~held_out_N], weight)
        state = {name: value.clone() for name, value in layer.state_dict().items()}
        accuracy = top1(layer(x_ND[held_out_N]), y_N[held_out_N])
        candidates.append((accuracy, weight, state))

    # `max` returns the first of equal accuracies, which is that of the smallest weight.
    _, weight, state = max(candidates, key=lambda candidate: candidate[0])
    layer.load_state_dict(state)
    minimise(layer, x_ND, y_N, weight)
    return layer.requires_grad_(False), weight


def held_out(y_N: Tensor) -> Tensor:
    """Draw the mask (N,) of the held-out samples: the same share of each class, always the same samples.

    Raises:
        Failure: the share of each class is less than half a sample.
    """
    indices = stratified(y_N.cpu().numpy(), HELD_OUT * len(y_N), "penalty")
    if not len(indices):
        raise Failure(
            f"of {len(y_N)} training samples, {HELD_OUT:.0%} of each class is less than one sample for the penalty"
        )
    mask_N = torch.zeros(len(y_N), dtype=torch.bool, device=y_N.device)
    mask_N[torch.from_numpy(indices)] = True
    return mask_N


def minimise(layer: nn.Linear, x_ND: Tensor, y_N: Tensor, weight: float) -> None:
    """Minimise the penalised cross-entropy in place, starting from the classifier's current weights."""
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
