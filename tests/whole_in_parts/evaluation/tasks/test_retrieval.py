"""Retrieval among pictures that are made here: each step against a formula, and the whole by every stage."""

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from tests.whole_in_parts.evaluation.tasks.conftest import RESNET, SIZE
from tests.whole_in_parts.evaluation.tasks.pictures import distorted, picture, sample, save
from whole_in_parts.config.backbones.timm import TimmConfig
from whole_in_parts.config.tasks.retrieval import RetrievalConfig
from whole_in_parts.evaluation.tasks import retrieval
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import build_backbone

OPTIONS = RetrievalConfig(name="retrieval")
QUERIES = 8
KINDS = ("easy", "hard", "junk")


def landmarks(folder, perfect: bool):
    """A folder in which each query has an image of each kind in the gallery, beside 20 of something else."""
    seen = {f"query_{number}": number for number in range(QUERIES)}
    seen |= {f"{kind}_{number}": number for number in range(QUERIES) for kind in KINDS}
    seen |= {f"other_{number}": 1000 + number for number in range(20)}
    images = {
        f"jpg/{name}.png": picture(number) if perfect else distorted(picture(number), seed, darkest=0.9, noise=5)
        for seed, (name, number) in enumerate(seen.items())
    }
    names = [name for name in seen if "query" not in name]
    truth = {
        "imlist": names,
        "qimlist": [f"query_{number}" for number in range(QUERIES)],
        "gnd": [{kind: [names.index(f"{kind}_{number}")] for kind in KINDS} for number in range(QUERIES)],
    }
    save(images, folder)
    (folder / "gnd_made.json").write_text(json.dumps(truth))
    expect = {"train": len(names), "test": QUERIES, "classes": 2, "empty": 1, "duplicates": QUERIES if perfect else 0}
    return {"name": "revisited", "path": folder}, expect


COUNTS = {"queries_medium": QUERIES, "queries_hard": QUERIES}


@pytest.mark.parametrize("scales", [(1.0,), (1.0, 0.70710678, 0.5)])
def test_perfect_copies_are_all_found_first(ask, tmp_path, scales):
    found = ask(*landmarks(tmp_path / "made", True), OPTIONS.model_dump() | {"scales": scales})
    assert found == {"map_medium": 100, "map_hard": 100} | COUNTS


def test_copies_are_found_better_than_by_chance_even_by_random_weights(ask, tmp_path, claim):
    found = ask(*landmarks(tmp_path / "made", False), OPTIONS.model_dump() | {"image_size": 48})
    chance = 100 * np.mean([1 / (2 * rank) + 0.5 * (rank == 1) for rank in range(1, 29)])
    assert chance < 10
    for metric in ("map_medium", "map_hard"):
        claim(metric, found[metric], above=2 * chance)


KEYS = list("abcdef")
ORDER = torch.tensor([4, 0, 5, 2, 1, 3])  # e a f c b d


@pytest.mark.parametrize(
    ("protocol", "annotation", "expected"),
    [
        # medium: a and c are found among a f c b d; e does not count
        ("medium", {"easy": ["a"], "hard": ["c"], "junk": ["e"]}, (1 + 1 + 1 / 2 + 2 / 3) / 2 / 2),
        # hard: c is found among f c b d; neither e nor a counts
        ("hard", {"easy": ["a"], "hard": ["c"], "junk": ["e"]}, (0 + 1 / 2) / 2),
        ("medium", {"easy": ["a"], "hard": [], "junk": []}, (0 + 1 / 2) / 2),
        ("hard", {"easy": ["a"], "hard": [], "junk": []}, None),
        ("medium", {"easy": [], "hard": [], "junk": ["a"]}, None),
    ],
)
def test_each_protocol_finds_and_ignores_what_it_says(protocol, annotation, expected):
    assert retrieval.query_average_precision(ORDER, KEYS, annotation, protocol) == (
        expected and pytest.approx(expected)
    )


def test_queries_without_anything_to_be_found_are_skipped(give):
    nothing = {"easy": [], "hard": [], "junk": []}
    gallery = [sample(f"g{number}", 0, picture(number)) for number in range(4)]
    queries = [
        sample("q0", 1, picture(0), nothing | {"easy": ["g0"]}),
        sample("q1", 1, picture(1), nothing | {"junk": ["g1"]}),
    ]
    found = retrieval.evaluate(give(gallery, queries, ["gallery", "query"]), OPTIONS)
    assert found == {"map_medium": 100, "queries_medium": 1, "map_hard": None, "queries_hard": 0}


def test_the_mean_is_over_the_average_precisions_of_the_ranking_by_cosine_similarity(give):
    gallery = [sample(f"g{number}", 0, picture(number)) for number in range(12)]
    queries = [
        sample(f"q{number}", 1, distorted(picture(number), number), {"easy": [f"g{number}"], "hard": [], "junk": []})
        for number in range(6)
    ]
    context = give(gallery, queries, ["gallery", "query"])

    def described(images) -> np.ndarray:
        batch = [images.original(number)[None] / 255 for number in range(len(images))]
        return np.stack([context.backbone(image).global_BD[0].numpy() for image in batch])

    base, asked = described(context.train), described(context.test)
    cosine = asked @ base.T / np.linalg.norm(asked, axis=1)[:, None] / np.linalg.norm(base, axis=1)
    precisions = []
    for row, key in zip(cosine, context.test.shards.keys, strict=True):
        rank = [context.train.shards.keys[number] for number in np.argsort(-row)].index(f"g{key[1:]}")
        precisions.append(((1.0 if rank == 0 else 0.0) + 1 / (rank + 1)) / 2)
    found = retrieval.evaluate(context, OPTIONS.model_copy(update={"image_size": 100}))
    assert found["map_medium"] == pytest.approx(100 * np.mean(precisions), abs=1e-3)


@pytest.mark.parametrize("size", [24, 100])
def test_an_image_is_shrunk_to_its_own_shape_as_pillow_does_it_and_never_enlarged(size):
    image = picture(0)
    ours_CHW = retrieval.shrink(torch.tensor(np.array(image)).permute(2, 0, 1), size)
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    assert torch.equal(ours_CHW, torch.tensor(np.array(image)).permute(2, 0, 1))
    assert max(ours_CHW.shape[1:]) == min(size, 48)


def test_an_image_of_one_channel_is_shrunk_too():
    assert retrieval.shrink(torch.zeros(1, 40, 60, dtype=torch.uint8), 30).shape == (1, 20, 30)


def test_representations_are_the_mean_over_scales_and_of_length_one(give):
    context = give([sample("g", 0, picture(0))], [sample("q", 1, picture(1))], ["gallery", "query"])
    image_1CHW = torch.tensor(np.array(picture(0))).permute(2, 0, 1)[None].float() / 255
    scales = (1.0, math.sqrt(0.5), 0.5)
    views = [F.interpolate(image_1CHW, scale_factor=scale, mode="bilinear") for scale in scales]
    assert views[1].shape[2:] == (28, 33)
    total = sum(context.backbone(view).global_BD[0] for view in views)
    (found,) = retrieval.embed(context, context.train, RetrievalConfig(name="retrieval", image_size=48, scales=scales))
    torch.testing.assert_close(found, total / total.norm(), atol=1e-5, rtol=0)


def test_a_transformer_sees_whole_patches(give):
    options = TimmConfig(
        name="timm",
        model="vit_tiny_patch16_224",
        channels=3,
        mean=RESNET.mean,
        std=RESNET.std,
        arguments={"depth": 1, "img_size": SIZE},
    )
    torch.manual_seed(0)
    vit = build_backbone(options).eval().requires_grad_(False)
    nothing = {"easy": ["g"], "hard": [], "junk": []}
    context = give([sample("g", 0, picture(0))], [sample("q", 1, picture(1), nothing)], ["gallery", "query"])
    context = context._replace(backbone=vit)
    assert retrieval.side_multiple(vit, SIZE) == 16
    image_1CHW = torch.tensor(np.array(picture(0))).permute(2, 0, 1)[None].float() / 255
    whole_D = vit(image_1CHW[..., :32, :48]).global_BD[0]
    (found,) = retrieval.embed(context, context.train, OPTIONS.model_copy(update={"image_size": 48}))
    torch.testing.assert_close(found, whole_D / whole_D.norm())
    assert retrieval.evaluate(context, OPTIONS)["map_medium"] == 100


def test_queries_that_nothing_is_said_of_are_refused_by_name(give):
    samples = [sample("a", 0, picture(0))], [sample("b", 1, picture(1))]
    with pytest.raises(Failure, match="test: query b has no annotation; retrieval needs source revisited"):
        retrieval.evaluate(give(*samples, ["gallery", "query"]), OPTIONS)


def test_what_is_to_be_found_and_is_not_in_the_gallery_is_named(give):
    wrong = {"easy": ["a"], "hard": ["z"], "junk": []}
    samples = [sample("a", 0, picture(0))], [sample("b", 1, picture(1), wrong)]
    with pytest.raises(Failure, match="test: the annotation of b names z, which is not in train"):
        retrieval.evaluate(give(*samples, ["gallery", "query"]), OPTIONS)
