"""Average precisions against what follows from COCO's definition by hand: precision at 101 recalls, 10 overlaps."""

import numpy as np
import pytest
from faster_coco_eval import mask

from whole_in_parts.evaluation.detection.precision import Detections, average_precisions

SIZE = (60, 80)
BOXES = [[5.0, 5.0, 15.0, 30.0], [40.0, 10.0, 70.0, 50.0]]
PERFECT = {"ap": 100.0, "ap_50": 100.0, "ap_75": 100.0}


def marked(boxes=BOXES, labels=None, crowd=None, difficult=None, masks=None) -> dict:
    nothing = [False] * len(boxes)
    return {
        "boxes": boxes,
        "labels": labels or [0] * len(boxes),
        "crowd": crowd or nothing,
        "difficult": difficult or nothing,
        "masks": masks or [None] * len(boxes),
        "size": SIZE,
    }


def found(boxes=BOXES, labels=None, scores=None, masks=None) -> Detections:
    scores = scores or [0.9 - 0.1 * number for number in range(len(boxes))]
    labels = np.array(labels or [0] * len(boxes), int)
    return Detections(np.array(boxes, float).reshape(-1, 4), labels, np.array(scores, float), masks)


def filled(box: list[float]) -> str:
    """The mask that is all of a box."""
    pixels = np.zeros(SIZE, np.uint8)
    left, top, right, bottom = (int(edge) for edge in box)
    pixels[top:bottom, left:right] = 1
    return mask.encode(np.asfortranarray(pixels))["counts"].decode()


def scores(truths: list[dict], detections: list[Detections], classes: int = 1, masks: bool = False) -> dict:
    return average_precisions(truths, detections, classes, masks)


def test_perfect_detections_are_a_hundred_and_none_are_nothing():
    assert scores([marked()], [found()]) == PERFECT
    assert scores([marked()], [found([])]) == {"ap": 0, "ap_50": 0, "ap_75": 0}


def test_one_of_two_objects_is_51_of_101_recalls():
    half = round(100 * 51 / 101, 4)
    assert scores([marked()], [found(BOXES[:1])]) == {"ap": half, "ap_50": half, "ap_75": half}


def test_one_of_two_objects_is_6_of_11_recalls_where_precision_is_averaged_over_these():
    part = round(100 * 6 / 11, 4)
    found_one = average_precisions([marked()], [found(BOXES[:1])], 1, False, recalls=11)
    assert found_one == {"ap": part, "ap_50": part, "ap_75": part}


def test_a_wrong_detection_halves_the_precision_if_it_is_above_the_right_one_and_does_not_matter_below():
    wrong = [60.0, 1.0, 70.0, 5.0]
    assert scores([marked(BOXES[:1])], [found([wrong, BOXES[0]])])["ap"] == pytest.approx(50)
    assert scores([marked(BOXES[:1])], [found([BOXES[0], wrong])]) == PERFECT


def test_a_box_that_overlaps_by_72_per_cent_is_right_for_five_of_ten_thresholds():
    short = [[5.0, 5.0, 15.0, 23.0]]
    assert scores([marked(BOXES[:1])], [found(short)]) == {"ap": 50.0, "ap_50": 100.0, "ap_75": 0.0}


def test_classes_count_alike_and_those_without_objects_do_not():
    truth = marked(labels=[0, 2])
    assert scores([truth], [found(labels=[0, 0])], classes=4)["ap"] == pytest.approx(50)
    assert scores([truth], [found(labels=[0, 2])], classes=4) == PERFECT


def test_detections_are_ranked_over_all_images():
    first, second = marked(BOXES[:1]), marked(BOXES[1:])
    wrong = found([[60.0, 1.0, 70.0, 5.0]], scores=[0.99])
    assert scores([first, second], [found(BOXES[:1]), wrong])["ap"] == pytest.approx(100 * 0.5 * 51 / 101, abs=1e-3)


CROWD_OR_DIFFICULT = {
    "a crowd, of which each part does not count": ({"crowd": [False, True]}, 100),
    "a difficult object, a part of which is no detection of it": ({"difficult": [False, True]}, 50),
    "a crowd that is difficult": ({"crowd": [False, True], "difficult": [False, True]}, 100),
}


@pytest.mark.parametrize("name", CROWD_OR_DIFFICULT)
def test_what_is_found_above_an_object_that_counts_is_wrong_in(name):
    kinds, expected = CROWD_OR_DIFFICULT[name]
    part = [45.0, 15.0, 55.0, 25.0]
    assert scores([marked(**kinds)], [found([part, BOXES[0]])])["ap"] == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["crowd", "difficult"])
def test_a_crowd_or_difficult_object_may_be_found_often_and_need_not_be(kind):
    truth = marked(**{kind: [False, True]})
    assert scores([truth], [found([BOXES[1], BOXES[1], BOXES[0]])]) == PERFECT
    assert scores([truth], [found(BOXES[:1])]) == PERFECT


def test_an_object_that_counts_may_be_found_once():
    assert scores([marked(BOXES[:1])], [found([BOXES[0], BOXES[0]])]) == PERFECT
    twice = found([BOXES[0], BOXES[0], BOXES[1]])
    assert scores([marked()], [twice])["ap"] == pytest.approx(100 * (51 + 50 * 2 / 3) / 101, abs=1e-3)


def test_masks_are_scored_by_their_own_overlap():
    truth = marked(masks=[filled(box) for box in BOXES])
    short = [[*box[:3], box[1] + 0.72 * (box[3] - box[1])] for box in BOXES]  # 18 of 25 rows, and 28 of 40
    exact = found(masks=[filled(box) for box in BOXES])
    assert scores([truth], [exact], masks=True) == PERFECT | {f"mask_{name}": 100 for name in PERFECT}
    less = scores([truth], [found(masks=[filled(box) for box in short])], masks=True)
    assert {name: less[name] for name in PERFECT} == PERFECT
    assert (less["mask_ap_50"], less["mask_ap_75"]) == (100, 0)
    assert 40 <= less["mask_ap"] <= 50


def test_where_no_object_counts_there_is_no_precision():
    assert scores([marked(crowd=[True, True])], [found()]) == {"ap": None, "ap_50": None, "ap_75": None}
