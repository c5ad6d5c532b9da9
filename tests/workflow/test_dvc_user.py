"""What a DVC user expects of a DVC project."""

import configparser
import hashlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_metrics_show_a_row_a_run_and_the_verdicts_on_the_claims(study):
    shown = json.loads(study.run("dvc", "metrics", "show", "--json"))[""]["data"]
    claims = shown.pop("results/report/claims.json")["data"]
    assert set(claims["co_ssl"].values()) == {"undecided"}  # one seed
    assert set(shown) == {f"results/report/metrics/{run}.json" for run in ("random", "byol", "co_byol")}


def test_metrics_that_changed_are_shown_with_their_difference(study):
    file = study / "results/report/metrics/byol.json"
    metrics = json.loads(file.read_text())
    metrics["linear"]["top1"] += 1.5
    file.write_text(json.dumps(metrics))
    changed = json.loads(study.run("dvc", "metrics", "diff", "--json"))
    assert list(changed) == ["results/report/metrics/byol.json"]
    assert changed["results/report/metrics/byol.json"]["linear.top1"]["diff"] == pytest.approx(1.5)


def test_plots_show_the_losses(study):
    study.run("dvc", "plots", "show", "--out", "plots")
    assert "byol" in (study / "plots/index.html").read_text()


def secrets(config: configparser.ConfigParser) -> set[str]:
    """The options of DVC's configuration that hold a secret, by their name, or by a value with a user's password."""
    named = re.compile("key|secret|password|token|credential|sas|keyfile|gdrive")
    valued = re.compile(r"://[^/@\s]*:[^/@\s]*@|[?&;][\w-]*(key|secret|password|token|sig|credential)=", re.IGNORECASE)
    options = [(option, value) for section in config.sections() for option, value in config[section].items()]
    return {option for option, value in options if named.search(option) or valued.search(value)}


def parsed(text: str) -> configparser.ConfigParser:
    config = configparser.ConfigParser(interpolation=None)
    config.read_string(text)
    return config


def test_the_configuration_of_dvc_holds_no_secret():
    assert secrets(parsed((ROOT / ".dvc/config").read_text())) == set()
    assert "/config.local" in (ROOT / ".dvc/.gitignore").read_text().split()


@pytest.mark.parametrize(
    "url",
    ["ssh://user:password@host/path", "https://:token@host", "azure://account/path?sig=abc", "s3://b/p?X-Amz-Token=a"],
)
def test_a_secret_in_the_address_of_a_remote_is_found(url):
    assert secrets(parsed(f"['remote \"lab\"']\nurl = {url}\nverify = true\n")) == {"url"}


@pytest.mark.parametrize("url", ["ssh://user@host:22/path", "s3://bucket/study", "/data/remote", "../user:a@b"])
def test_an_address_without_a_secret_is_let_be(url):
    assert secrets(parsed(f"['remote \"lab\"']\nurl = {url}\n")) == set()


def test_an_experiment_in_place_says_that_recipes_are_written_out_and_how_to_go_back(study):
    printed = study.run("dvc", "exp", "run", "-S", "runs.byol.seed=7", "resolve")
    for said in (printed, study.run("snakemake", "-n")):
        assert "a change of the recipe does not reach them; to restore the file: git checkout params.yaml" in said
    study.run("git", "checkout", "params.yaml")
    assert "a change of the recipe" not in study.run("snakemake", "-n")


@pytest.mark.parametrize(
    "engine", [("snakemake", "--cores", "1", "results/shard/digits"), ("dvc", "repro", "shard@digits")]
)
def test_large_results_are_kept_once_where_they_are_links_into_the_cache(study, engine):
    study.run("dvc", "config", "--local", "cache.type", "hardlink,reflink,copy")
    for per_shard in (300, 301):  # the second time, links are replaced
        study.edit(lambda study, number=per_shard: study["datasets"]["digits"].update(samples_per_shard=number))
        study.run(*engine)
        shards = sorted((study / "results/shard/digits/train").glob("*.tar"))
        assert len(shards) == 5
        assert {file.stat().st_nlink for file in shards} == {2}
    study.run("dvc", "repro", "contract@digits")


def test_a_tagged_model_is_got_by_its_name_and_is_a_run_elsewhere(study, tmp_path):
    study.run("dvc", "remote", "add", "--default", "laboratory", str(tmp_path / "remote"))
    study.run("dvc", "push", "results/pretrain/co_byol")
    study.commit()
    study.run("git", "tag", "--annotate", "co_byol@v1.0.0", "--message", "as published")
    study.run("dvc", "artifacts", "get", str(study.folder), "co_byol", "--out", str(tmp_path / "got"))
    model = study / "results/pretrain/co_byol/model"
    assert sorted(file.name for file in (tmp_path / "got").iterdir()) == sorted(file.name for file in model.iterdir())

    got = tmp_path / "got/model.safetensors"
    origin = {"name": "model", "path": str(got.parent), "sha256": hashlib.sha256(got.read_bytes()).hexdigest()}
    run = {"epochs": 0, "method": {"name": "weights", "origin": origin}, "modifier": {"name": "none"}}
    study.edit(lambda study: study["runs"].update(taken=study["runs"]["co_byol"] | run))
    study.run("dvc", "repro", "knn@taken")
    metrics = [(study / f"results/knn/{run}/metrics.json").read_text() for run in ("taken", "co_byol")]
    assert metrics[0] == metrics[1]
