"""A batch in pieces, and networks in half precision."""

import pytest
import torch
from pydantic import ValidationError

from whole_in_parts.training import loop

SHORT = {"epochs": 1}


def test_a_batch_that_comes_in_pieces_gives_the_gradient_of_the_whole_where_no_batch_norm_sees_it(
    run, train, monkeypatch
):
    monkeypatch.setattr(torch.nn.BatchNorm2d, "forward", lambda self, x: x * self.weight[:, None, None])
    whole, pieces = (train(run("supervised", accumulate=count), str(count)) for count in (1, 4))
    for name, tensor in whole[0].items():
        torch.testing.assert_close(pieces[0][name], tensor, rtol=1e-3, atol=1e-4)
    losses = [[row["loss"] for row in training.history] for _, training in (whole, pieces)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)


def test_a_batch_that_cannot_be_cut_so_is_refused(run):
    with pytest.raises(ValidationError, match="accumulate: a batch of 64 cannot be cut in 7 pieces"):
        run(accumulate=7)


@pytest.mark.parametrize("name", ["byol", "co_byol", "supervised"])
def test_in_bfloat16_a_training_learns_as_in_single_precision_and_losses_are_single(
    run, train, monkeypatch, name, claim
):
    seen = []
    genuine = loop.NonFiniteGuard.record
    monkeypatch.setattr(
        loop.NonFiniteGuard,
        "record",
        lambda self, step, losses: seen.extend(losses.values()) or genuine(self, step, losses),
    )
    slow = {"learning_rate": 0.05}  # so that differences hardly grow from step to step
    single, half = (train(run(name, slow, precision=precision), precision) for precision in ("float32", "bfloat16"))
    assert {loss.dtype for loss in seen} == {torch.float32}
    assert single[1].history[-1]["loss"] != half[1].history[-1]["loss"]
    losses, others = ([row["loss"] for row in training.history] for _, training in (single, half))
    apart = abs(losses[-1] - others[-1]) / (max(losses) - min(losses))
    claim("difference of the last losses, as a part of their range", apart, below=0.15)
    assert all(tensor.dtype != torch.bfloat16 for tensor in half[0].values())
