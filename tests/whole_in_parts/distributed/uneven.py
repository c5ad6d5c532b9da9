"""A program for torchrun: batch norm and means over parts of different sizes are those of the whole batch."""

import torch
from torch import Tensor, nn

from whole_in_parts.distributed.batch_norm import synchronised_on_cpus
from whole_in_parts.distributed.collectives import all_reduce_mean, average_gradients, mean_weight, rank, world_size
from whole_in_parts.distributed.group import group

SIZES = [3, 8]


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    x_BC, weights_BC = torch.randn(2, sum(SIZES), 4, generator=generator, dtype=torch.float64)
    with group(torch.device("cpu")):
        part = slice(sum(SIZES[: rank()]), sum(SIZES[: rank() + 1]))
        check_batch_norm(x_BC, weights_BC, part)
        check_means(x_BC, part)


def check_batch_norm(x_BC: Tensor, weights_BC: Tensor, part: slice) -> None:
    whole, local = x_BC.clone().requires_grad_(), x_BC[part].clone().requires_grad_()
    one, several = nn.BatchNorm1d(4).double(), synchronised_on_cpus(nn.BatchNorm1d(4).double())
    expected, found = one(whole), several(local)
    torch.testing.assert_close(found, expected[part])
    torch.testing.assert_close(several.running_var, one.running_var)

    (expected * weights_BC).sum().backward()
    (found * weights_BC[part]).sum().backward()
    torch.testing.assert_close(local.grad, whole.grad[part])
    average_gradients(several.parameters())
    torch.testing.assert_close(several.weight.grad * world_size(), one.weight.grad)


def check_means(x_BC: Tensor, part: slice) -> None:
    weight = mean_weight(torch.tensor(SIZES[rank()]))
    torch.testing.assert_close(all_reduce_mean(weight * x_BC[part].mean()), x_BC.mean())
    assert mean_weight(torch.tensor(0)) == 0


if __name__ == "__main__":
    main()
