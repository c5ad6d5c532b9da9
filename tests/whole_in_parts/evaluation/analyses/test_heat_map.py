import numpy as np
import pytest
import torch
import torch.nn.functional as F
from matplotlib.image import imread

from whole_in_parts.config.analyses.heat_map import HeatMapConfig
from whole_in_parts.evaluation.analyses import _patches
from whole_in_parts.evaluation.analyses.heat_map import compare, measure


def options(**changes) -> HeatMapConfig:
    return HeatMapConfig(**({"name": "heat_map", "size": 4, "stride": 2, "place": (0.0, 1.0), "shown": 2} | changes))


@torch.no_grad()
def test_the_place_of_the_query_is_1_and_others_are_the_cosine_with_the_window_there(context):
    some, asked = context.indices[:3], options()
    images_BCHW = context.test[some].float() / 255

    def window(image: int, row: int, column: int) -> torch.Tensor:
        part_CHW = images_BCHW[image : image + 1, :, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4]
        part_BCHW = F.interpolate(part_CHW, (8, 8), mode="bilinear", antialias=True)
        return context.backbone(part_BCHW).global_BD[0]

    maps = compare(context, some, asked)["embedding"]
    assert maps.same.shape == maps.other.shape == (2, 3, 3)
    torch.testing.assert_close(maps.same[:, 0, 2], torch.ones(2))
    for row, column in ((0, 0), (1, 2), (2, 1)):
        for image in (0, 1):
            query_D = window(image, 0, 2)
            same, other = (F.cosine_similarity(query_D, window(image + n, row, column), dim=0) for n in (0, 1))
            torch.testing.assert_close(maps.same[image, row, column], same)
            torch.testing.assert_close(maps.other[image, row, column], other)


@torch.no_grad()
def test_the_map_of_an_image_of_equal_windows_is_flat(context):
    context.test[context.indices]  # decodes them
    context.test._held[:2] = torch.arange(2).view(2, 1, 1, 1) * 100
    for maps in compare(context, context.indices[:2], options()).values():
        torch.testing.assert_close(maps.same, torch.ones(1, 3, 3))


def test_the_numbers_are_means_over_images_and_windows_without_the_query(context, monkeypatch):
    monkeypatch.setattr("whole_in_parts.evaluation.analyses.heat_map.BATCH", 25)
    metrics = measure(context, options())
    maps = compare(context, np.append(order := _patches.sort_by_class(context), order[0]), options())
    for space, (same, other) in maps.items():
        kept = torch.ones(3, 3, dtype=torch.bool)
        kept[0, 2] = False
        assert metrics[f"same_image_{space}"] == pytest.approx(float(same[:, kept].mean()), abs=1e-5)
        assert metrics[f"other_image_{space}"] == pytest.approx(float(other.mean()), abs=1e-5)


def test_a_method_without_a_projector_has_half_as_many_maps(context, given_plain):
    assert set(measure(context, options())) > set(measure(given_plain, options()))


def test_the_picture_has_a_row_for_each_image_shown(context):
    measure(context, options())
    two = imread(context.directory / "heat_map.png").shape
    measure(context, options(shown=4))
    four = imread(context.directory / "heat_map.png").shape
    assert two[1] == four[1]
    assert two[0] < four[0]
