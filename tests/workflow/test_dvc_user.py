"""What a DVC user expects of a DVC project."""

import configparser
import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_an_experiment_with_one_parameter_runs_what_snakemake_would_and_shows_the_difference(study):
    text = (study / "params.yaml").read_text()
    study.edit(lambda study: study["runs"]["co_byol"]["modifier"].update(weight=0.9))
    would_run = study.would_run()
    kinds = ("pretrain", "extract", "linear", "knn", "corrupt", "mask", "attack")
    assert would_run == {f"{kind}/co_byol" for kind in kinds} | {"analyse/co_byol_similarity", "report"}
    (study / "params.yaml").write_text(text)
    printed = study.run("dvc", "exp", "run", "-S", "runs.co_byol.modifier.weight=0.9")
    ran = re.findall(r"^Running stage '(.+)':$", printed, re.MULTILINE)
    assert {address.replace("@", "/") for address in ran} == would_run
    changed = json.loads(study.run("dvc", "metrics", "diff", "--json"))
    assert list(changed) == ["results/report/metrics/co_byol.json"]
    assert "linear.top1" in changed["results/report/metrics/co_byol.json"]
    assert study.would_run() == set()


def test_metrics_show_a_row_a_run(study):
    shown = json.loads(study.run("dvc", "metrics", "show", "--json"))
    assert set(shown[""]["data"]) == {f"results/report/metrics/{run}.json" for run in ("random", "byol", "co_byol")}


def test_plots_show_the_losses(study):
    study.run("dvc", "plots", "show", "--out", "plots")
    assert "byol" in (study / "plots/index.html").read_text()


def test_the_configuration_of_dvc_holds_no_secret():
    config = configparser.ConfigParser()
    config.read(ROOT / ".dvc/config")
    options = {option for section in config.sections() for option in config[section]}
    secret = re.compile("key|secret|password|token|credential|sas|keyfile|gdrive")
    assert not {option for option in options if secret.search(option)}
    assert "/config.local" in (ROOT / ".dvc/.gitignore").read_text().split()
