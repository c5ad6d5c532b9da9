import csv

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from whole_in_parts.config.analyses.bag import BagConfig, Windows
from whole_in_parts.config.evaluations import Linear
from whole_in_parts.evaluation import features
from whole_in_parts.evaluation.analyses._patches import sliding_windows
from whole_in_parts.evaluation.analyses.bag import embed_global, embed_patches, measure

PROBE = Linear(epochs=3, batch_size=64, learning_rate=0.1, weight_decay=0)


def bag(**changes) -> BagConfig:
    options = {"name": "bag", "patches": [1, 3], "scale": (0.2, 0.4), "train_subset": 300, "probe": PROBE}
    return BagConfig(**(options | changes))


def test_one_patch_that_is_the_whole_image_is_the_image(context):
    options = bag(patches=[1], scale=(1.0, 1.0), ratio=(1.0, 1.0))
    metrics = measure(context, options)
    assert metrics["top1_1"] == metrics["top1"] == metrics["top1_central"]
    assert metrics["cosine_1"] == pytest.approx(1)


def test_the_central_embedding_is_the_feature_of_the_image(context):
    whole_ND = embed_global(context, context.test, np.arange(len(context.test)))
    plain = features.extract_features(context.backbone, context.test, context.device, "plain")
    torch.testing.assert_close(whole_ND, plain.features_ND)


def test_a_probe_on_more_patches_reads_their_mean(context):
    options = bag()
    metrics = measure(context, options)
    assert {"top1_central", "top1_1", "top1_3", "top1", "cosine_1", "cosine_3"} == set(metrics)
    assert metrics["top1"] == metrics["top1_3"]
    bags_NPD = embed_patches(context, context.test, context.indices, options)
    assert bags_NPD.shape == (60, 3, context.backbone.features)
    whole_ND = embed_global(context, context.test, context.indices)
    expected = F.cosine_similarity(bags_NPD.mean(1), whole_ND).mean()
    assert metrics["cosine_3"] == pytest.approx(float(expected), abs=1e-6)


def test_the_curve_has_a_row_for_each_number_of_patches(context):
    metrics = measure(context, bag())
    rows = list(csv.DictReader((context.directory / "convergence.csv").read_text().splitlines()))
    assert [int(row["patches"]) for row in rows] == [1, 2, 3]
    assert float(rows[-1]["cosine"]) == pytest.approx(metrics["cosine_3"], abs=1e-5)


def test_patches_of_an_image_are_the_same_in_any_part_and_differ_from_each_other(context):
    options = bag()
    together = embed_patches(context, context.test, context.indices, options)
    alone = embed_patches(context, context.test, context.indices[7:9], options)
    torch.testing.assert_close(alone, together[7:9])
    assert (together[:, 0] - together[:, 1]).abs().amax(1).median() > 0


def test_windows_are_cut_row_by_row_and_brought_to_the_image_size():
    images_BCHW = torch.arange(64.0).view(1, 1, 8, 8)
    views = sliding_windows(images_BCHW, size=4, stride=2)
    assert len(views) == 9
    assert all(view.shape == (1, 1, 8, 8) for view in views)
    assert views[1].mean() == pytest.approx(float(images_BCHW[:, :, 0:4, 2:6].mean()))


def test_windows_are_probed_by_their_mean_and_joined(context):
    metrics = measure(context, bag(windows=Windows(size=4, stride=4)))
    assert {"top1_windows_mean", "top1_windows_joined"} < set(metrics)
