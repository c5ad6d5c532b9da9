from pathlib import Path

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from whole_in_parts.distributed.batch_norm import BatchNorm, synchronise, synchronised_on_cpus
from whole_in_parts.failure import Failure

CPU = torch.device("cpu")


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 3, 3)], ids=["vectors", "maps"])
@pytest.mark.parametrize("affine", [True, False])
def test_by_one_process_it_is_torchs_batch_norm_in_values_gradients_and_running_statistics(shape, affine):
    kind = nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d
    theirs = kind(4, affine=affine).double()
    ours = synchronised_on_cpus(kind(4, affine=affine).double())
    x, weights = 3 + 2 * torch.randn(*shape, dtype=torch.float64), torch.randn(*shape, dtype=torch.float64)
    gradients = []
    for norm in (theirs, ours):
        if affine:
            nn.init.constant_(norm.weight, 1.7), nn.init.constant_(norm.bias, 0.3)
        inputs = x.clone().requires_grad_()
        (norm(inputs) * weights).sum().backward()
        gradients.append([inputs.grad, *(parameter.grad for parameter in norm.parameters())])
    for first, second in zip(*gradients, strict=True):
        torch.testing.assert_close(first, second)
    for name, tensor in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], tensor)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_without_momentum_the_running_statistics_are_the_mean_over_batches():
    theirs, ours = nn.BatchNorm2d(4, momentum=None), synchronised_on_cpus(nn.BatchNorm2d(4, momentum=None))
    for _ in range(3):
        x_BCHW = torch.randn(6, 4, 3, 3)
        torch.testing.assert_close(ours(x_BCHW), theirs(x_BCHW))
    for name, tensor in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], tensor)


def test_half_precision_has_its_statistics_in_single():
    x = (1000 + torch.randn(4096, 2)).bfloat16()
    assert BatchNorm(2)(x).dtype == torch.bfloat16
    torch.testing.assert_close(BatchNorm(2)(x).float().std(0), torch.ones(2), rtol=0.01, atol=0)


def test_what_is_given_the_whole_batch_keeps_its_own():
    class Whole(nn.Sequential):
        gathered = True

    module = nn.Sequential(nn.BatchNorm1d(2), nn.Sequential(nn.BatchNorm1d(2)), Whole(nn.BatchNorm1d(2)))
    names = set(module.state_dict())
    synchronise(module, CPU)
    assert [isinstance(norm, BatchNorm) for norm in (module[0], module[1][0], module[2][0])] == [True, True, False]
    assert set(module.state_dict()) == names


def test_parts_of_any_size_give_values_statistics_and_gradients_of_the_whole_batch(torchrun):
    torchrun(2, str(Path(__file__).with_name("uneven.py")))


def test_a_batch_norm_that_does_more_is_refused():
    with pytest.raises(Failure, match="BatchNormAct2d over several processes needs GPUs"):
        synchronise(nn.Sequential(BatchNormAct2d(2)), CPU)
