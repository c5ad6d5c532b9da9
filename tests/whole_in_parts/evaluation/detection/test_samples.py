"""What a detector is shown, with boxes and masks against worked values."""

import numpy as np
import pytest
import torch

from stages.shard import pack
from tests.whole_in_parts.evaluation.detection import shapes
from tests.whole_in_parts.evaluation.tasks.pictures import picture, sample
from whole_in_parts.config.tasks.detection import DetectionConfig
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.evaluation.detection import samples
from whole_in_parts.failure import Failure

CPU = torch.device("cpu")


def options(**more) -> DetectionConfig:
    return DetectionConfig(name="detection", steps=1, **more)


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Images:
    return Images(Shards(shapes.packed(tmp_path_factory.mktemp("shown"), 8)), 32, 3)


@pytest.mark.parametrize(
    ("height", "width", "extent"),
    [(40, 60, (80, 120)), (60, 40, (120, 80)), (40, 120, (50, 150)), (100, 100, (80, 80))],
)
def test_the_shorter_side_is_resized_unless_the_longer_one_would_be_too_long(height, width, extent):
    image_CHW = samples.resize(torch.full((3, height, width), 51, dtype=torch.uint8), 80, 150)
    assert image_CHW.shape == (3, *extent)
    torch.testing.assert_close(image_CHW, torch.full_like(image_CHW, 0.2))


def test_mirroring_moves_boxes_and_masks_with_the_pixels():
    image_CHW = torch.arange(12.0).view(1, 2, 6)
    masks_OHW = torch.tensor([[[0, 1, 1, 0, 0, 0], [0, 1, 1, 0, 0, 0]]])
    target = {"boxes": torch.tensor([[1.0, 0, 3, 2]]), "labels": torch.tensor([1]), "masks": masks_OHW}
    flipped_CHW, goal = samples.flip_horizontally(image_CHW, target)
    assert flipped_CHW[0, 0].tolist() == [5, 4, 3, 2, 1, 0]
    assert goal["boxes"].tolist() == [[3, 0, 5, 2]]
    assert goal["masks"][0].tolist() == [[0, 0, 0, 1, 1, 0]] * 2
    assert goal["labels"].tolist() == [1]


def test_in_whatever_way_an_image_is_shown_the_box_of_each_mask_is_its_box(images):
    marked = samples.read_annotations(images.shards, True)
    for number in range(len(images)):
        for step in range(4):
            context = options(masks=True, short_sides=[96, 192])
            _, goal = samples.training_sample(images.original(number), number, marked[number], context, step)
            for box_4, mask_HW in zip(goal["boxes"], goal["masks"], strict=True):
                rows, columns = mask_HW.nonzero().unbind(1)
                edges = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
                assert (edges - box_4).abs().max() <= 3


def test_sizes_and_mirrorings_are_a_function_of_seed_step_and_sample_and_all_come_up(images):
    marked = samples.read_annotations(images.shards, False)
    chosen = options(short_sides=[48, 64, 80])

    def show(number, step, context=chosen):
        return samples.training_sample(images.original(number), number, marked[number], context, step)

    torch.testing.assert_close(show(3, 5), show(3, 5), rtol=0, atol=0)
    sides = {(number, step): show(number, step)[0].shape[1] for number in range(8) for step in range(6)}
    assert set(sides.values()) == {48, 64, 80}
    fixed = options(short_sides=[96])
    mirrored = [
        torch.equal(show(number, step, fixed)[0], samples.resize(images.original(number), 96, 1333))
        for number in range(8)
        for step in range(6)
    ]
    assert 0.25 < np.mean(mirrored) < 0.75


def test_crowds_are_not_learnt_and_difficult_objects_are():
    marked = {
        "boxes": [[0, 0, 5, 5], [1, 1, 4, 4], [2, 2, 9, 9]],
        "labels": [4, 0, 2],
        "crowd": [False, True, False],
        "difficult": [False, False, True],
    }
    goal = samples.build_target(marked, False, CPU)
    assert goal["labels"].tolist() == [5, 3]
    assert goal["boxes"].tolist() == [[0, 0, 5, 5], [2, 2, 9, 9]]


def test_a_set_that_says_nothing_of_objects_is_refused_by_the_name_of_an_image(tmp_path):
    pack([sample("cat/1", 0, picture(0), {"easy": []})], ["cat", "dog"], tmp_path, 8, "train")
    with pytest.raises(
        Failure, match="image cat/1 has no annotation of objects; detection needs a dataset of source coco or voc"
    ):
        samples.read_annotations(Shards(tmp_path), False)


def test_masks_are_asked_of_every_object(tmp_path):
    marked = {"boxes": [[0, 0, 5, 5]], "labels": [0], "crowd": [False], "difficult": [False], "masks": [None]}
    pack([sample("cat/1", 0, picture(0), marked)], ["cat", "dog"], tmp_path, 8, "train")
    assert samples.read_annotations(Shards(tmp_path), False) == [marked]
    with pytest.raises(Failure, match=r"task.masks: .* an object of cat/1 has no mask; set masks to false"):
        samples.read_annotations(Shards(tmp_path), True)


def test_a_course_shows_every_image_once_an_epoch_in_an_order_of_each(images):
    batches = samples.TrainingBatches(images, options(batch_size=4, short_sides=[96]), CPU)
    seen = [[target["boxes"].sum().item() for _, target in batches.batch(step)] for step in range(4)]
    torch.testing.assert_close(batches.batch(1), batches.batch(1), rtol=0, atol=0)
    means = [
        sorted(image_CHW.mean().item() for step in steps for image_CHW, _ in batches.batch(step))
        for steps in ((0, 1), (2, 3))
    ]
    assert means[0] == pytest.approx(means[1], abs=1e-6)
    assert len({round(mean, 5) for mean in means[0]}) == 8
    assert seen[:2] != seen[2:]
