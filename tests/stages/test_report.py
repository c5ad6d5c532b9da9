"""What the report reads, works out and writes in numbers; `test_report_page.py` has what it shows."""

import csv
import json
import math
import re
import shutil
from pathlib import Path

import pytest

from tests.fake_results import BYOL, RESNET, change, fill, made, page, runs, save, study
from whole_in_parts.config.study import Study
from whole_in_parts.failure import Failure
from whole_in_parts.report import results
from whole_in_parts.report.groups import group
from whole_in_parts.report.palette import looks
from whole_in_parts.results import result_dir


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A study, in a folder of its own, that holds its results."""
    monkeypatch.chdir(tmp_path)
    made = study()
    fill(made)
    return made


def table(directory: Path, name: str) -> list[dict[str, str]]:
    with (directory / "tables" / name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def flags(plan: Study) -> list[tuple[str, ...]]:
    return [tuple(flag) for flag in results.read(plan).flags]


def test_weights_that_others_trained_are_a_reference_and_no_claim_with_a_colour_of_their_own():
    origin = {"name": "file", "path": "a.pth", "sha256": "0" * 64, "layout": "torchvision"}
    weights = {"name": "weights", "origin": origin}
    groups = group(study(runs=runs("taken", seeds=1, method=weights, epochs=0) | runs("byol", method=BYOL)).runs)
    assert [each.role for each in groups] == ["weights", "self-supervised"]
    assert len({look.colour for look in looks(groups).values()}) == 2


def test_what_is_not_asked_for_is_blank_and_what_is_asked_for_and_absent_is_missing_and_flagged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    full = study()
    fill(full)
    content = full.model_dump() | {"transfer": {}, "analyse": {}}
    content["knn"]["runs"] = [name for name in full.runs if not name.startswith("supervised")]
    del content["mask"], content["attack"]
    some = Study.model_validate(content)
    for name in some.runs:
        for kind in ("mask", "attack", "transfer"):
            save(kind, name, "metrics.json", "{}")
    save("knn", "supervised", "metrics.json", "{}")
    shutil.rmtree(result_dir("transfer"))
    shutil.rmtree(result_dir("analyse"))
    assert flags(some) == []
    text = page(some)
    assert "missing" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    for word in ("Masked", "Attacked", "Transfer", "Analyses"):
        assert f">{word}<" not in text

    rows = table(Path("report"), "results.csv")
    assert {row["evaluation"] for row in rows if row["group"] == "supervised"} == {"linear", "corrupt"}
    assert {row["evaluation"] for row in rows if row["group"] == "byol"} == {"linear", "knn", "corrupt"}
    shutil.rmtree(result_dir("knn", "byol"))
    assert [flag[:2] for flag in flags(some)] == [("byol", "knn")]


def test_runs_that_differ_in_their_seed_alone_are_one_group_under_the_name_of_the_first(plan):
    found = {each.name: each.runs for each in group(plan.runs)}
    assert found == {
        "random": ["random", "random_1", "random_2"],
        "supervised": ["supervised"],
        "byol": ["byol", "byol_1", "byol_2"],
        "co_byol": ["co_byol", "co_byol_1", "co_byol_2"],
    }


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (..., "missing: top1"),
        (None, "missing: top1"),
        ("80", "missing: top1"),
        (math.nan, "not a finite number: top1 (nan)"),
        (math.inf, "not a finite number: top1 (inf)"),
    ],
)
def test_a_number_that_is_missing_or_not_finite_is_flagged(plan, value, problem):
    change("transfer", "supervised", top1=value)
    found = results.read(plan)
    assert found.flags == [("supervised", "transfer", problem)]
    assert found.metrics["supervised"]["transfer"] == {}


@pytest.mark.parametrize("value", [..., math.nan])
def test_a_number_that_is_missing_or_not_finite_is_shown_as_missing(plan, value):
    change("transfer", "supervised", top1=value)
    directory = made(plan)
    text = (directory / "index.html").read_text()
    assert "<b>supervised</b>, transfer: " in text.partition("<main>")[0]
    assert '<td class="number"><span class="missing">missing</span></td>' in text
    assert json.loads((directory / "metrics/supervised.json").read_text())["transfer"] == {}
    values = [row["value"] for row in table(directory, "runs.csv") if row["run"] == "supervised"]
    assert values.count("missing") == 1
    assert "" not in values


def test_a_study_with_a_missing_a_failed_and_a_nan_result_has_a_page_that_shows_and_flags_each(plan):
    shutil.rmtree(result_dir("knn", "byol"))
    save("linear", "co_byol_1", "metrics.json", '{"top1": 8')
    change("mask", "random", mean=math.nan, mask_90=math.nan)
    change("analyse", "seen", correlation=math.nan)
    save(
        "pretrain",
        "co_byol_2",
        "history.csv",
        "step,epoch,learning_rate,loss,global\n0,0,0.1,1,1\n8,0.25,0.1,nan,nan\n",
    )
    assert {flag[:2] for flag in flags(plan)} == {
        ("byol", "knn"),
        ("co_byol_1", "linear"),
        ("random", "mask"),
        ("random", "analyse"),
        ("co_byol_2", "pretrain"),
    }

    directory = made(plan)
    shown = {(row["run"], row["evaluation"], row["metric"]): row["value"] for row in table(directory, "runs.csv")}
    lost = {key for key, value in shown.items() if value == "missing"}
    assert lost == {
        ("byol", "knn", "top1_k20"),
        ("byol", "knn", "top1_k5"),
        ("co_byol_1", "linear", "top1"),
        ("random", "mask", "mask_90"),
        ("random", "mask", "mean"),
    }
    assert [row["value"] for row in table(directory, "analyses.csv") if row["metric"] == "correlation"] == ["missing"]
    assert [row["loss"] for row in table(directory, "losses.csv") if row["run"] == "co_byol_2"] == ["1.0", "missing"]
    text = (directory / "index.html").read_text()
    assert "5 flags" in text
    assert text.count("numbers are missing") >= 2


def test_what_was_not_asked_for_is_blank_beside_published_figures_and_in_claims(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = {"paper": "co_ssl", "table": "1", "row": "BYOL+", "run": "byol", "metrics": {"top1": "knn.top1_k20"}}
    some = study(published=[row])
    fill(some)
    some = Study.model_validate(some.model_dump() | {"knn": some.knn.model_dump() | {"runs": ["co_byol"]}})
    for name in some.runs:
        if name != "co_byol":
            save("knn", name, "metrics.json", "{}")
    assert flags(some) == []
    directory = made(some)
    [cell] = table(directory, "published.csv")
    assert [cell[name] for name in ("seeds", "mean", "std", "difference")] == ["0", "", "", ""]
    assert {row["claim"] for row in table(directory, "claims.csv") if row["paper"] == "pretraining"} == {"linear"}
    for file in [*directory.rglob("*.csv"), *directory.rglob("*.md"), *directory.rglob("*.tex")]:
        assert "missing" not in file.read_text(), file
    text = re.sub(r"<style>.*?</style>", "", (directory / "index.html").read_text(), flags=re.DOTALL)
    assert "missing" not in text


def test_a_published_figure_of_an_analysis_that_did_not_measure_it_is_missing_and_flagged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    metrics = {"top1": "analyse.seen.rank"}
    row = {"paper": "co_ssl", "table": "1", "row": "BYOL+", "run": "random", "metrics": metrics}
    built = study(published=[row])
    fill(built)
    assert flags(built) == [("random", "analyse", "missing: rank")]
    [cell] = table(made(built), "published.csv")
    assert (cell["mean"], cell["difference"]) == ("missing", "missing")


def test_a_backbone_without_a_receptive_field_misses_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = {name: RESNET[name] for name in ("channels", "mean", "std")}
    vit = {"name": "timm", "model": "vit_tiny_patch16_224", "arguments": {"patch_size": 8}} | pixels
    plan = study(runs=runs("random", method={"name": "random"}, epochs=0) | runs("byol", method=BYOL, backbone=vit))
    fill(plan)
    for name in plan.runs:
        if name.startswith("byol"):
            change("pretrain", name, receptive_field=None, stride=None)
    directory = made(plan)
    text = (directory / "index.html").read_text()
    assert flags(plan) == []
    assert "missing" not in text.partition("<main>")[2]
    assert '<small class="under">vit_tiny_patch16_224, patch_size 8</small>' in text
    assert {row["group"]: row["receptive_field"] for row in table(directory, "pretraining.csv")} == {
        "random": "47.0",
        "byol": "–",
    }
    values = [row["value"] for row in table(directory, "runs.csv")]
    assert "missing" not in values


def test_a_page_of_a_study_without_any_result_is_all_missing(plan):
    shutil.rmtree("results")
    text = page(plan)
    assert f"{10 * 8 + 2 + 1} flags" in text
    assert "there is no results/attack/byol_1/metrics.json" in text


def test_a_file_that_cannot_be_read_is_flagged(plan):
    save("knn", "byol", "metrics.json", '{"top1_k20": 8')
    save("mask", "byol", "metrics.json", "[]")
    save("pretrain", "byol", "history.csv", "step,epoch\n0,0\n")
    save("contract", "digits", "contract.json", '{"dataset": "digits"}')
    assert [flag[:2] for flag in flags(plan)] == [
        ("byol", "knn"),
        ("byol", "mask"),
        ("byol", "pretrain"),
        ("digits", "contract"),
    ]
    assert "results/mask/byol/metrics.json holds no JSON object" in page(plan)


def test_a_loss_that_is_not_finite_is_flagged_with_its_step(plan):
    change("pretrain", "byol", loss=math.nan)
    save("pretrain", "byol", "history.csv", "step,epoch,learning_rate,loss,global\n0,0,0.1,1,1\n8,0.25,0.1,nan,nan\n")
    assert flags(plan) == [
        ("byol", "pretrain", "not a finite number: loss (nan)"),
        ("byol", "pretrain", "the curves are not finite from step 8"),
    ]
    made(plan)


def test_steps_in_which_nothing_was_measured_beside_the_training_are_not_flagged(plan):
    rows = results.read(plan).histories["byol"]
    assert rows["online_knn"].isna().any()
    assert rows["online_knn"].notna().any()
    assert flags(plan) == []


@pytest.mark.parametrize(("collapsed", "flagged"), [(0, False), (1, True)])
def test_a_training_that_collapsed_is_flagged_with_its_spread(plan, collapsed, flagged):
    change("pretrain", "byol_2", collapsed=collapsed, spread=0.034)
    found = flags(plan)
    assert len(found) == flagged
    assert all(flag[:2] == ("byol_2", "pretrain") and re.match("collapsed: .*0.034", flag[2]) for flag in found)


@pytest.mark.parametrize("name", ["online_knn", "rank", "peak_memory_mb"])
def test_a_training_that_was_not_measured_beside_is_flagged(plan, name):
    change("pretrain", "byol", **{name: ...})
    assert flags(plan) == [("byol", "pretrain", f"missing: {name}")]


def test_a_metric_that_nothing_asked_for_is_kept_in_the_tables(plan):
    change("pretrain", "byol", embedding_std=0.03, note="as it came")
    assert flags(plan) == []
    rows = table(made(plan), "runs.csv")
    assert {"run": "byol", "group": "byol", "seed": "0", "evaluation": "pretrain"} | {
        "metric": "embedding_std",
        "value": "0.03",
    } in rows


def test_results_that_belong_to_no_entry_stop_it_with_their_names_and_the_remedy(plan):
    save("linear", "old_run", "metrics.json", "{}")
    save("contract", "old images", "contract.json", "{}")
    with pytest.raises(Failure) as failure:
        made(plan)
    assert "results/linear/old_run, results/contract/old images" in str(failure.value)
    assert "rm -r results/linear/old_run 'results/contract/old images'" in str(failure.value)


def test_the_tables_are_the_metrics_in_full(plan):
    directory = made(plan)
    metrics = {file.stem: json.loads(file.read_text()) for file in directory.glob("metrics/*.json")}
    for row in table(directory, "runs.csv"):
        assert float(row["value"]) == metrics[row["run"]][row["evaluation"]][row["metric"]]
    assert metrics["byol_1"]["linear"] == {"top1": 80.5}
    row = next(row for row in table(directory, "results.csv") if (row["group"], row["metric"]) == ("byol", "top1"))
    assert [float(row[name]) for name in ("seeds", "measured", "mean", "std", "lowest", "highest")] == [
        3,
        3,
        80.5,
        0.5,
        80,
        81,
    ]


def test_tables_are_written_as_csv_markdown_and_latex_with_the_same_rows(plan):
    directory = made(plan) / "tables"
    rows = table(directory.parent, "results.csv")
    markdown = (directory / "results.md").read_text().splitlines()
    latex = (directory / "results.tex").read_text()
    assert len(markdown) == 2 + len(rows)
    assert markdown[0].startswith("| group | evaluation | metric |")
    assert latex.count(r" \\") == 1 + len(rows)
    assert r"co\_byol & linear & top1" in latex
    assert f"{float(rows[0]['mean']):.2f}" in markdown[2]
