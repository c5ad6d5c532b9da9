import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F

from whole_in_parts.config.analyses.similarity import SimilarityConfig
from whole_in_parts.evaluation.analyses.similarity import draw_pairs, measure

OPTIONS = SimilarityConfig(name="similarity", pairs=200)


def test_the_shortcut_equals_a_loop_over_all_pairs_of_positions(context):
    view = context.backbone(context.test[context.indices].float() / 255)
    parts_NPC = F.normalize(view.local_BCNN.flatten(2).permute(0, 2, 1).double(), dim=2)
    x, y = [], []
    for first, second in zip(*draw_pairs(60, OPTIONS.pairs), strict=True):
        x.append(float(F.cosine_similarity(view.global_BD[first].double(), view.global_BD[second].double(), dim=0)))
        y.append(np.mean([float(a @ b) for a in parts_NPC[first] for b in parts_NPC[second]]))
    metrics = measure(context, OPTIONS)
    assert metrics["correlation"] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-5)
    assert metrics["across"] == pytest.approx(np.mean(y), abs=1e-6)

    rows = pq.read_table(context.directory / "pairs.parquet").to_pydict()
    np.testing.assert_allclose(rows["global"], x, atol=1e-6)
    np.testing.assert_allclose(rows["local"], y, atol=1e-6)
    keys = [context.test.shards.keys[index] for index in context.indices]
    first, second = draw_pairs(60, OPTIONS.pairs)
    assert rows["first"] == [keys[index] for index in first]
    assert rows["second"] == [keys[index] for index in second]
    inside = [float(a @ b) for parts in parts_NPC for i, a in enumerate(parts) for j, b in enumerate(parts) if i != j]
    assert metrics["within"] == pytest.approx(np.mean(inside), abs=1e-6)


def test_pairs_are_of_different_images_and_always_the_same():
    first, second = draw_pairs(7, 1000)
    assert (first != second).all()
    assert set(first.tolist()) == set(second.tolist()) == set(range(7))
    assert all(torch.equal(a, b) for a, b in zip(draw_pairs(7, 1000), (first, second), strict=True))
