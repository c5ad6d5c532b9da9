import csv
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.neighbors import KNeighborsClassifier

from whole_in_parts.augment.randomness import stratified
from whole_in_parts.augment.views import Crop, make_batch
from whole_in_parts.config.analyses.bag import BagConfig, Windows
from whole_in_parts.config.evaluations import KNN, Linear, LinearOnCrops
from whole_in_parts.config.study import Study
from whole_in_parts.config.views import View
from whole_in_parts.evaluation import features
from whole_in_parts.evaluation.analyses._bags import Split, all_windows, embed, embed_bags, embed_whole, random_patches
from whole_in_parts.evaluation.analyses._patches import sliding_windows
from whole_in_parts.evaluation.analyses.bag import measure
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import Representations

PROBE = Linear(epochs=3, batch_size=64, learning_rate=0.1, weight_decay=0)


def bag(**changes) -> BagConfig:
    options = {"name": "bag", "patches": [1, 3], "scale": (0.2, 0.4), "train_subset": 300, "probe": PROBE}
    return BagConfig(**(options | changes))


@torch.no_grad()
def kept(context, options) -> torch.Tensor:
    """The embeddings (N, P, D) of all patches at once, by the augmentation of the training."""
    view = View(crop_scale=options.scale, ratio=options.ratio, flip=0, jitter=0, greyscale=0)
    crops = [Crop(view, 8)] * max(options.patches)
    batch = make_batch(context.test[context.indices], torch.empty(0), crops, context.indices, 0, 0)
    return torch.stack([context.backbone(view_BCHW).global_BD for view_BCHW in batch.views], 1)


def test_one_patch_that_is_the_whole_image_is_the_image(context):
    options = bag(patches=[1], scale=(1.0, 1.0), ratio=(1.0, 1.0))
    metrics = measure(context, options)
    assert metrics["top1_1"] == metrics["top1"] == metrics["top1_central"]
    assert metrics["cosine_1"] == pytest.approx(1)


def test_the_central_embedding_is_the_feature_of_the_image(context):
    whole_ND = embed_whole(context, Split(context.test, np.arange(len(context.test))))
    plain = features.extract_features(context.backbone, context.test, context.device, "plain")
    torch.testing.assert_close(whole_ND, plain.features_ND)


def test_a_probe_on_more_patches_reads_their_mean(context):
    options = bag()
    metrics = measure(context, options)
    assert {"top1_central", "top1_1", "top1_3", "top1", "cosine_1", "cosine_3"} == set(metrics)
    assert metrics["top1"] == metrics["top1_3"]
    bags_NPD = kept(context, options)
    assert bags_NPD.shape == (60, 3, context.backbone.features)
    whole_ND = embed_whole(context, Split(context.test, context.indices))
    expected = F.cosine_similarity(bags_NPD.mean(1), whole_ND).mean()
    assert metrics["cosine_3"] == pytest.approx(float(expected), abs=1e-6)


def test_the_curve_has_a_row_for_each_number_of_patches(context):
    metrics = measure(context, bag())
    rows = list(csv.DictReader((context.directory / "convergence.csv").read_text().splitlines()))
    assert [int(row["patches"]) for row in rows] == [1, 2, 3]
    assert float(rows[-1]["cosine"]) == pytest.approx(metrics["cosine_3"], abs=1e-5)


def test_patches_of_an_image_are_the_same_in_any_part_and_differ_from_each_other(context):
    options = bag()
    together = kept(context, options)
    alone = kept(context._replace(indices=context.indices[7:9]), options)
    torch.testing.assert_close(alone, together[7:9])
    assert (together[:, 0] - together[:, 1]).abs().amax(1).median() > 0


def test_windows_are_cut_row_by_row_and_brought_to_the_image_size():
    images_BCHW = torch.arange(64.0).view(1, 1, 8, 8)
    views = [*sliding_windows(images_BCHW, size=4, stride=2)]
    assert len(views) == 9
    assert all(view.shape == (1, 1, 8, 8) for view in views)
    assert views[1].mean() == pytest.approx(float(images_BCHW[:, :, 0:4, 2:6].mean()))


@torch.no_grad()
def test_summing_patches_one_after_another_gives_the_means_and_the_curve_of_all_that_are_kept(context):
    options = bag(patches=[2, 5])
    split = Split(context.test, context.indices)
    whole_ND = embed_whole(context, split)
    bags = embed_bags(context, split, random_patches(options), [2, 5], join=True, whole_ND=whole_ND)
    bag_NPD = kept(context, options)
    for count in (2, 5):
        torch.testing.assert_close(bags.means[count], bag_NPD[:, :count].mean(1))
        cosine_N = F.cosine_similarity(bag_NPD[:, :count].double().mean(1), whole_ND.double())
        assert float(bags.curve_P[count - 1]) == pytest.approx(float(cosine_N.mean()), abs=1e-6)
    torch.testing.assert_close(bags.joined, bag_NPD.flatten(1))


@torch.no_grad()
def test_windows_are_summed_in_a_random_order_of_each_image_and_joined_row_by_row(context):
    options = Windows(size=4, stride=2)
    split = Split(context.test, context.indices)
    patches = all_windows(options, 8)
    bags = embed_bags(context, split, patches, [1, 9], join=True)
    images_BCHW = context.test[context.indices].float() / 255
    window_NPD = torch.stack([context.backbone(view).global_BD for view in sliding_windows(images_BCHW, 4, 2)], 1)
    torch.testing.assert_close(bags.joined, window_NPD.flatten(1))
    torch.testing.assert_close(bags.means[9], window_NPD.mean(1))
    first_N = (window_NPD - bags.means[1][:, None]).abs().amax(2).argmin(1)
    assert len(set(first_N.tolist())) == 9


def test_windows_are_probed_by_their_mean_and_joined(context):
    metrics = measure(context, bag(windows=Windows(size=4, stride=4)))
    assert {"top1_windows_mean", "top1_windows_joined", "cosine_windows"} < set(metrics)
    rows = list(csv.DictReader((context.directory / "convergence_windows.csv").read_text().splitlines()))
    assert [int(row["patches"]) for row in rows] == [1, 2, 3, 4]
    assert float(rows[-1]["cosine"]) == pytest.approx(metrics["cosine_windows"], abs=1e-5)
    assert "top1_windows_joined" not in measure(context, bag(windows=Windows(size=4, stride=4, join=False)))


class Map5(torch.nn.Module):
    """A backbone with a map of 5×5 positions, as that of I²-VICReg's Table 5."""

    def __init__(self, map_BCNN):
        super().__init__()
        self.map_BCNN = map_BCNN

    def forward(self, images_BCHW):
        return Representations((self.map_BCNN,), self.map_BCNN.mean((2, 3)), self.map_BCNN.mean((2, 3)))


def test_the_pooled_feature_is_the_average_pooling_of_table_5():
    map_BCNN = torch.rand(3, 7, 5, 5)
    expected = F.avg_pool2d(map_BCNN, 3, stride=2).flatten(1)
    assert expected.shape == (3, 28)
    torch.testing.assert_close(embed(Map5(map_BCNN), torch.empty(0), "pooled_2x2"), expected)


def test_windows_may_be_probed_by_the_pooled_map(context):
    windows = Windows(size=4, stride=4, feature="pooled_2x2")
    assert "top1_windows_joined" in measure(context, bag(windows=windows))


def test_knn_of_whole_images_is_that_of_scikit_learn_and_stands_beside_every_probe(context):
    options = bag(knn=KNN(neighbours=[1, 5], temperature=0.07), windows=Windows(size=4, stride=4))
    metrics = measure(context, options)
    names = {name for name in metrics if name.startswith("top1_") and "_k" not in name}
    assert {name for name in metrics if "_k" in name} == {f"{name}_k{k}" for name in names for k in (1, 5)}

    train_indices = stratified(context.train.shards.labels, options.train_subset, "bag")
    train_ND, test_ND = (
        embed_whole(context, Split(images, indices)).detach()
        for images, indices in ((context.train, train_indices), (context.test, context.indices))
    )
    theirs = KNeighborsClassifier(1, metric="cosine", algorithm="brute")
    theirs.fit(train_ND, context.train.shards.labels[train_indices])
    correct = theirs.predict(test_ND) == context.test.shards.labels[context.indices]
    assert metrics["top1_central_k1"] == pytest.approx(100 * correct.mean(), abs=1e-3)


def test_more_neighbours_than_training_images_are_refused_before_any_work(context):
    knn = KNN(neighbours=[5, 2000], temperature=0.07)
    with pytest.raises(Failure, match=r"analysis.knn.neighbours: 2000 of \d+ training images"):
        measure(context, bag(knn=knn))
    assert not list(context.directory.iterdir())


def test_knn_of_a_part_of_the_labels_is_refused():
    with pytest.raises(ValueError, match=r"knn.labels: bags are classified with all labels; .* not \[100, 10\]"):
        bag(knn=KNN(neighbours=[1], temperature=0.07, labels=[100, 10]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": [100, 10]}, r"probe.labels: bags are classified with all labels; .* not \[100, 10\]"),
        ({"solver": "lbfgs"}, "probe.solver: bags are probed by sgd, not lbfgs"),
        ({"crops": LinearOnCrops()}, "probe.crops: bags are probed on the mean"),
    ],
    ids=str,
)
def test_a_probe_that_bags_do_not_have_is_refused(change, said):
    probe = PROBE.model_dump() | change
    with pytest.raises(ValueError, match=said):
        bag(probe=Linear.model_validate(probe))


def test_windows_larger_than_the_images_are_refused_when_the_study_is_read(small):
    analysis = bag(windows=Windows(size=9, stride=2)).model_dump()
    entry = {"run": "byol", "dataset": "digits", "subset": 60, "analysis": analysis}
    with pytest.raises(ValueError, match=r"analysis.windows.size: a window of 9 is larger than the run's images, of 8"):
        Study.model_validate(small.model_dump() | {"analyse": {"one": entry}})


def test_the_peak_of_memory_does_not_grow_with_the_number_of_patches(root):
    """The embeddings of 192 patches would take 200 MB, and the patches themselves as much."""
    command = [sys.executable, "-c", MEMORY]
    printed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    few, many, windows = map(float, printed.split())
    assert many - few < 25
    assert windows - many < 25


MEMORY = """
from types import SimpleNamespace
import numpy as np
import torch
from whole_in_parts.config.analyses.bag import BagConfig, Windows
from whole_in_parts.evaluation.analyses._bags import Split, all_windows, embed_bags, random_patches
from whole_in_parts.models.backbone import Representations
from whole_in_parts.training.peak_memory import peak_memory_mb

class Images:
    size = 64
    def __getitem__(self, indices):
        return torch.zeros(len(indices), 1, 64, 64, dtype=torch.uint8)

def backbone(x_BCHW):
    return Representations((), torch.empty(0), x_BCHW.flatten(1))

backbone.features = 4096
cpu = torch.device("cpu")
context = SimpleNamespace(backbone=backbone, device=cpu)
split = Split(Images(), np.arange(64))
probe = {"epochs": 1, "batch_size": 1, "learning_rate": 1.0, "weight_decay": 0.0}

def peak(patches):
    embed_bags(context, split, patches, [1], whole_ND=torch.ones(64, 4096))
    return peak_memory_mb(cpu)

def random(count):
    options = BagConfig(name="bag", patches=[count], scale=(0.2, 0.2), train_subset=1, probe=probe)
    return random_patches(options)

peak(all_windows(Windows(size=32, stride=32), 64))
print(peak(random(16)), peak(random(16 * 12)), peak(all_windows(Windows(size=32, stride=2), 64)))
"""
