import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from matplotlib.image import imread

from whole_in_parts.config.analyses.neighbours import NeighboursConfig
from whole_in_parts.evaluation.analyses import _patches
from whole_in_parts.evaluation.analyses.neighbours import measure
from whole_in_parts.failure import Failure

WHOLE = {"patches": 1, "scale": (1.0, 1.0), "ratio": (1.0, 1.0)}


def options(**changes) -> NeighboursConfig:
    return NeighboursConfig(**({"name": "neighbours", "patches": 2, "scale": (0.2, 0.5), "neighbours": 3} | changes))


def found(context):
    return pq.read_table(context.directory / "neighbours.parquet").to_pandas()


def test_a_copy_of_an_image_is_its_first_neighbour_with_similarity_1(context):
    images = context.test
    images[np.array([4, 31])]  # decodes them
    images._held[31] = images._held[4]
    measure(context, options(**WHOLE))
    rows = found(context).query("rank == 1").set_index(["space", "query"])
    for space in ("embedding", "projection"):
        nearest = rows.loc[space, images.shards.keys[4]]
        assert nearest.neighbour == images.shards.keys[31]
        assert nearest.similarity == pytest.approx(1, abs=1e-6)
        assert list(nearest.neighbour_box) == [0, 0, 8, 8]


@torch.no_grad()
def test_the_order_is_that_of_all_patches_of_other_images_compared_one_by_one(context):
    asked = options()
    metrics = measure(context, asked)
    views = [view_BCHW for view_BCHW, _ in patches_of(context, asked)]
    labels = context.test.shards.labels
    for space in ("embedding", "projection"):
        x_MD = torch.stack([_patches.embed_in_spaces(context, view)[space] for view in views], 1).flatten(0, 1).double()
        rows = found(context).query("space == @space")
        same = []
        for query in range(120):
            others = [number for number in range(120) if number // 2 != query // 2]
            nearest = sorted(others, key=lambda number: -float(x_MD[query] @ x_MD[number]))[:3]
            same += [labels[query // 2] == labels[number // 2] for number in nearest]
            if query in (0, 57):
                key, box = context.test.shards.keys[query // 2], box_of(context, asked, query)
                mine = rows[(rows["query"] == key) & (rows["query_box"].map(tuple) == box)]
                assert list(mine["rank"]) == [1, 2, 3]
                keys = [context.test.shards.keys[number // 2] for number in nearest]
                assert list(mine["neighbour"]) == keys
                expected = [float(x_MD[query] @ x_MD[number]) for number in nearest]
                assert list(mine["similarity"]) == pytest.approx(expected, abs=1e-5)
        assert metrics[f"same_class_{space}"] == pytest.approx(100 * np.mean(same))


@torch.no_grad()
def test_patches_of_the_own_image_are_neighbours_if_asked_for_and_count_for_nothing(context):
    usual = measure(context, options())
    assert not (found(context)["query"] == found(context)["neighbour"]).any()
    assert measure(context, options(own_image=True)) == usual

    rows = found(context)
    assert (rows["query"] == rows["neighbour"]).any()
    x_MD = torch.stack(
        [_patches.embed_in_spaces(context, view)["embedding"] for view, _ in patches_of(context, options())], 1
    ).flatten(0, 1)
    similarity_MM = (x_MD @ x_MD.T).fill_diagonal_(-1)
    first = rows.query("space == 'embedding' and rank == 1")["similarity"]
    np.testing.assert_allclose(sorted(first), sorted(similarity_MM.amax(1).tolist()), atol=1e-5)


def test_patches_may_be_of_as_many_training_images(context):
    measure(context, options(split="train"))
    keys = set(found(context)["query"])
    assert keys <= set(context.train.shards.keys)
    assert len(keys) == pytest.approx(60, abs=5)


def box_of(context, asked, query: int) -> tuple[int, ...]:
    """The box of a patch."""
    return tuple(patches_of(context, asked)[query % 2][1][query // 2].int().tolist())


def patches_of(context, asked) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Both patches of all images, and their boxes."""
    images_BCHW = _patches.to_unit_range(context.test[context.indices], context.device)
    return [_patches.crop_patch(images_BCHW, context.indices, asked, number) for number in range(2)]


def test_a_method_without_a_projector_has_the_embedding_alone(given_plain):
    assert set(measure(given_plain, options())) == {"same_class_embedding"}
    assert set(found(given_plain)["space"]) == {"embedding"}


def test_the_picture_is_the_same_each_time_and_wider_with_two_spaces(context, given_plain):
    measure(context, options(shown=2))
    first = (context.directory / "neighbours.png").read_bytes()
    measure(context, options(shown=2))
    assert (context.directory / "neighbours.png").read_bytes() == first
    wide = imread(context.directory / "neighbours.png").shape[1]
    measure(given_plain, options(shown=2))
    assert imread(given_plain.directory / "neighbours.png").shape[1] < wide


def test_more_neighbours_than_there_are_patches_are_refused_before_any_work(context):
    few = context._replace(indices=context.indices[:2])
    with pytest.raises(Failure, match=r"analysis.neighbours: 3 of each patch, and other images have 2 patches"):
        measure(few, options())
    assert not list(context.directory.glob("neighbours.*"))


def test_one_image_has_nothing_to_be_compared_with(context):
    with pytest.raises(Failure, match="there is only one"):
        _patches.sort_by_class(context._replace(indices=context.indices[:1]))
