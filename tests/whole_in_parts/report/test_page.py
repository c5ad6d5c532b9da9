"""What the page of the report shows, and how."""

import json
import math
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from tests.fake_results import BYOL, change, contract, fill, made, page, runs, save, study
from whole_in_parts.config.study import Study
from whole_in_parts.report import palette
from whole_in_parts.report.content import script_hash
from whole_in_parts.report.groups import group

ROOT = Path(__file__).parents[3]
VOID = ("meta", "col", "br")


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A study, in a folder of its own, that holds its results."""
    monkeypatch.chdir(tmp_path)
    made = study()
    fill(made)
    return made


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the study with all its results; not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("shown"))
        fill(study())
        return made(study()).absolute()


@pytest.fixture(scope="module")
def text(shown: Path) -> str:
    return (shown / "index.html").read_text()


def files(directory: Path) -> dict[str, bytes]:
    return {str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*") if file.is_file()}


class Outline(HTMLParser):
    """What a page is made of; fails where a tag is closed that is not open."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, self.getpos()

    def all(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]


def test_the_same_results_make_the_same_bytes_in_another_process(plan):
    here = files(made(plan))
    Path("params.yaml").write_text(yaml.safe_dump(plan.model_dump(mode="json"), sort_keys=False))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-m", "stages.report"], env=environment, check=True)
    assert files(Path("results/report")) == here
    assert {"index.html", "metrics/byol.json", "tables/results.csv", "figures/images_masks.svg"} <= set(here)


def test_a_mean_over_some_of_the_seeds_says_so(plan):
    change("transfer", "byol_2", top1=...)
    assert '<span class="missing under">2 of 3</span>' in page(plan)


def test_images_that_break_their_contract_are_flagged_and_named(plan):
    broken = contract("digits") | {"held": False}
    broken["expectations"][0] |= {"held": False, "observed": 998, "broken_by": [f"image {i}" for i in range(8)]}
    save("contract", "digits", "contract.json", json.dumps(broken))
    text = page(plan)
    assert "<b>digits</b>, contract: the images do not hold what is expected of them" in text
    assert "image 0, image 1, image 2, image 3, image 4 and 3 more" in text


def test_markup_is_escaped(plan):
    cruel = contract("digits") | {"classes": ["<script>alert(1)</script>", "b&w"]}
    cruel["expectations"][0] |= {"expectation": "<img src=//example.org>", "broken_by": {"<b>": ["<i>"]}}
    save("contract", "digits", "contract.json", json.dumps(cruel))
    change("attack", "byol", **{"<u>": math.nan})
    text = page(plan)
    assert not re.search("<(script>alert|img|b>:|i>|u>)", text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;, b&amp;w" in text


def test_the_page_asks_for_nothing_else_and_allows_no_script_but_its_own(shown, text):
    outline = Outline(text)
    assert "default-src 'none'" in outline.all("meta")[2]["content"]
    [script] = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(outline.all("script")) == 1
    assert f"script-src '{script_hash(script)}'" in text
    assert not outline.all("link", "img", "iframe", "object", "image")
    assert not re.search(r"://|@import|url\((?!#)|\ssrc=|\son\w+=", text)
    linked = [attributes["href"] for attributes in outline.all("a")]
    assert all(link.startswith("#") or (shown / link).is_file() for link in linked)


def test_the_page_can_be_read_without_eyes(text):
    outline = Outline(text)
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(outline.all("caption")) == len(outline.all("table"))
    assert all("scope" in attributes for attributes in outline.all("th"))
    assert all("aria-label" in drawn or "aria-hidden" in drawn for drawn in outline.all("svg"))
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_what_the_figures_refer_to_is_in_the_page(text):
    asked = set(re.findall(r'(?:url\(|xlink:href=")#(\w+)', text))
    assert asked
    assert asked <= set(re.findall(r' id="(\w+)"', text))


def test_a_single_seed_has_no_deviation(text):
    assert '90.0 <small class="std">± –</small>' in text


def test_the_best_self_supervised_value_of_a_column_is_bold(plan):
    change("transfer", "byol_2", top1=102)
    bold = re.findall(r'<td class="number"><b>([\d.]+)</b>', page(plan))
    assert bold[0] == "92.8"  # the transfer of byol, (88 + 88.5 + 102) / 3, above the 91.5 of co_byol
    assert bold[1] == "83.5"  # the linear probe of co_byol, not the 90.0 of supervised
    assert len(bold) == 10


def test_a_run_that_collapsed_is_named_at_the_top_and_in_each_row_of_its_group(plan):
    assert "collapsed:" not in page(plan)
    change("pretrain", "byol_1", collapsed=1, spread=0.012)
    text = (made(plan, "again") / "index.html").read_text()
    top, _, below = text.partition("<main>")
    assert "<b>byol_1</b>, pretrain: collapsed: images that differ have embeddings that hardly do" in top
    assert "0.012, and 1 at best" in top
    rows = [row for row in below.split("</tr>") if "✗ collapsed: byol_1</span>" in row]
    assert len(rows) == 4  # two of the claim, one of the results, one of the pretraining
    assert all("</svg>byol<" in row.replace("\n", "") for row in rows)


def test_memory_and_rank_are_shown_and_no_rank_of_what_was_not_trained(plan):
    change("pretrain", "co_byol", peak_memory_mb=1240.0, rank=33.5)
    table = page(plan).partition('id="pretraining"')[2]

    def cells(group: str) -> list[str]:
        return re.findall('<td class="number">(.*)</td>', table.partition(f"</svg>{group}</th>")[2])

    assert cells("co_byol")[6].endswith(">840 MB</small>")  # means over three seeds
    assert cells("co_byol")[7].endswith(">rank 19.5</small>")
    assert cells("random")[6].endswith(">640 MB</small>")
    assert cells("random")[7] == "–"


def test_what_is_said_of_the_study_is_what_it_says(text):
    text = " ".join(text.split())
    assert "10 runs in 4 groups" in text
    assert "pretrain byol and byol + co on the images of images, without their labels, for 2 epochs at 28 px" in text
    assert "20 and 5 nearest neighbours" in text
    assert "strong, ε = 0.03 in 10 steps of 0.25 ε" in text


def test_groups_on_a_dataset_look_different(tmp_path):
    many = study(
        runs={
            name: options
            for epochs in range(1, 29)
            for name, options in runs(f"byol_{epochs}_epochs", seeds=1, method=BYOL, epochs=epochs).items()
        }
    )
    assert len(set(palette.looks(group(many.runs)).values())) == 28


def test_each_dataset_has_figures_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = study(runs=runs("byol", method=BYOL) | runs("co_byol", seeds=1, method=BYOL, dataset="digits"))
    fill(plan)
    names = {file.name for file in (made(plan) / "figures").iterdir()}
    figures = ("losses", "beside", "corruptions", "masks", "attacks")
    assert names == {f"{dataset}_{name}.svg" for dataset in ("images", "digits") for name in figures}
