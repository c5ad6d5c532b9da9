"""Parts of a batch, by any number of processes, give the losses and the weights of the whole batch by one."""

from pathlib import Path

import pytest
import torch

PROGRAM = str(Path(__file__).with_name("losses.py"))


@pytest.fixture(scope="module")
def found(torchrun, tmp_path_factory):
    """A function that gives what so many processes end with."""
    folder = tmp_path_factory.mktemp("losses")

    def by(processes: int, which: str) -> dict[str, dict[str, torch.Tensor]]:
        file = folder / f"{processes}.pt"
        if not file.exists():
            torchrun(processes, PROGRAM, str(file), which)
        return torch.load(file)

    return by


@pytest.mark.parametrize(("processes", "which"), [(2, "all"), (4, "some")])
def test_every_method_with_every_modifier_is_the_same_for_any_number_of_processes(found, processes, which):
    alone, together = found(1, "all"), found(processes, which)
    assert together
    for pair, tensors in together.items():
        assert tensors.keys() == alone[pair].keys()
        for name, tensor in tensors.items():
            torch.testing.assert_close(
                tensor, alone[pair][name], rtol=1e-9, atol=1e-9, msg=lambda m, at=(pair, name): f"{at}: {m}"
            )


def test_the_losses_that_are_compared_are_not_all_alike(found):
    losses = {round(float(each["step 1: global"]), 9) for each in found(1, "all").values() if "step 1: global" in each}
    assert len(losses) > 20
