import torch

from whole_in_parts.evaluation.detection.sampler import SeededSampler


def test_anchors_and_regions_are_sampled_by_the_seed_of_the_image_whatever_is_beside_it():
    labels = [torch.tensor([1, 0, 0, 0, 0, 0, 0, 0] * 9), torch.tensor([1, 1, 0, 0, 0, 0, 0, 0] * 9)]
    sampler = SeededSampler(8, 0.5)
    sampler.seeds = [5, 6]
    together = sampler(labels)
    sampler.seeds = [6]
    for both, alone in zip(together, sampler(labels[1:]), strict=True):
        assert torch.equal(both[1], alone[0])
    sampler.seeds = [7]
    assert not torch.equal(sampler(labels[1:])[1][0], together[1][1])
