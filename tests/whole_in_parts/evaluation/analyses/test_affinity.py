import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from matplotlib.image import imread
from sklearn.metrics import roc_auc_score

from whole_in_parts.config.analyses.affinity import AffinityConfig
from whole_in_parts.evaluation.analyses.affinity import PairScores, agreement, compare, correlation, embed, measure

SAME, DIFFERENT = torch.linspace(0.5, 1, 20).double(), torch.linspace(0, 0.8, 20).double()


def test_an_affinity_that_knows_has_auroc_1_and_one_that_says_always_the_same_one_half():
    knows = agreement(PairScores(SAME + 10, SAME), PairScores(DIFFERENT - 10, DIFFERENT))
    constant = agreement(PairScores(torch.zeros(20).double(), SAME), PairScores(torch.zeros(20).double(), DIFFERENT))
    assert knows["auroc_affinity"] == 1
    assert 0.5 < knows["auroc_cosine"] < 1
    assert constant["auroc_affinity"] == 0.5
    assert constant["pearson"] == constant["spearman"] == 0
    assert constant["affinity_same"] == constant["affinity_different"] == 0.5


def test_pearson_is_that_of_a_line_and_spearman_that_of_any_order():
    bent = agreement(PairScores(SAME**9, SAME), PairScores(DIFFERENT**9, DIFFERENT))
    assert bent["spearman"] == pytest.approx(1)
    assert bent["pearson"] < 0.95
    x, y = torch.rand(2, 30).double()
    assert correlation(x, y) == pytest.approx(float(torch.corrcoef(torch.stack([x, y]))[0, 1]))


def test_the_mean_affinity_is_a_probability():
    logits = torch.tensor([-1000.0, 1000.0]).double()
    told = agreement(PairScores(logits, logits), PairScores(logits, logits))
    assert told["affinity_same"] == 0.5


@torch.no_grad()
def test_pairs_of_one_image_are_two_crops_of_it_and_pairs_of_two_are_not(given_logo):
    metrics = measure(given_logo, AffinityConfig(name="affinity", pairs=2))
    crops_NCD = embed(given_logo, given_logo.method, 4)
    assert crops_NCD.shape == (60, 4, 32)
    torch.testing.assert_close(crops_NCD.norm(dim=2), torch.ones(60, 4))
    same = F.cosine_similarity(crops_NCD[:, [0, 2]], crops_NCD[:, [1, 3]], dim=2)
    assert metrics["cosine_same"] == pytest.approx(float(same.mean()), abs=1e-6)
    logit_M = compare(given_logo.method.affinity, crops_NCD[:, :1], crops_NCD[:, 1:2]).logit_M
    torch.testing.assert_close(logit_M.float(), given_logo.method.affinity(crops_NCD[:, 0], crops_NCD[:, 1]))
    different = F.cosine_similarity(crops_NCD[:, [0, 2]], crops_NCD[:, [1, 3]].roll(1, 0), dim=2)
    assert metrics["cosine_different"] == pytest.approx(float(different.mean()), abs=1e-6)
    expected = roc_auc_score([1] * 120 + [0] * 120, torch.cat([same.flatten(), different.flatten()]))
    assert metrics["auroc_cosine"] == pytest.approx(expected, abs=1e-3)
    assert imread(given_logo.directory / "affinity.png").shape[:2] == (600, 750)


@torch.no_grad()
def test_each_crop_of_a_shown_image_has_its_scores_beside_the_first(given_logo):
    measure(given_logo, AffinityConfig(name="affinity", pairs=2, shown=2))
    table = pd.read_parquet(given_logo.directory / "crops.parquet")
    crops_NCD = embed(given_logo, given_logo.method, 4)[:2]
    assert table["crop"].tolist() == [1, 2, 3] * 2
    assert table["key"].nunique() == 2
    cosine = F.cosine_similarity(crops_NCD[:, :1], crops_NCD[:, 1:], dim=2)
    assert table["cosine"].tolist() == pytest.approx(cosine.flatten().tolist(), abs=1e-5)
    affinity = given_logo.method.affinity(
        crops_NCD[:, :1].expand(-1, 3, -1).flatten(0, 1), crops_NCD[:, 1:].flatten(0, 1)
    )
    assert table["affinity"].tolist() == pytest.approx(affinity.sigmoid().tolist(), abs=1e-5)
    assert imread(given_logo.directory / "crops.png").shape[:2] == (600, 660)
