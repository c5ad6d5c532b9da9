"""A whole small study on a real Slurm of two nodes; its pretraining is one job over both, and is preempted once."""

import re
import subprocess
from collections.abc import Iterator

import pytest
import torch
from safetensors.torch import load_file

from tests.workflow.cluster import cluster, said, wait_for
from tests.workflow.conftest import Checkout, checkout

MODEL = "results/pretrain/byol/model/model.safetensors"
# What this site adds: jobs are asked after without accounting, and soon; small stages in a row are one job.
SITE = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5"]
DATA, PROBES = ("fetch", "shard", "contract"), ("extract", "linear", "knn", "corrupt", "mask", "attack")
SITE += ["--groups", *(f"{kind}=data" for kind in DATA), *(f"{kind}=probes" for kind in PROBES)]
# The nodes have 16 cores, and the probes of a group run side by side.
SITE += ["--set-threads", "pretrain=8", *(f"{kind}=2" for kind in PROBES)]
SUBMIT = ["snakemake", "--profile", "profiles/slurm", *SITE]


def one_run(study: dict) -> None:
    """Leave one run and every kind of stage, of few and short steps."""
    for section, key in (("runs", "byol"), ("transfer", "byol_digits"), ("analyse", "byol_neighbours")):
        study[section] = {key: study[section][key]}
    study["runs"]["byol"] |= {"batch_size": 192, "epochs": 6}
    study["runs"]["byol"]["backbone"] |= {"blocks": [1], "strides": [1]}  # fewer layers, fewer messages


@pytest.fixture(scope="module")
def slurm(tmp_path_factory) -> Iterator[None]:
    with cluster(tmp_path_factory.mktemp("slurm")):
        yield


@pytest.fixture(scope="module")
def study(slurm, tmp_path_factory) -> Checkout:
    """The study as the cluster builds it, its pretraining told to stop when it has begun."""
    made = checkout(tmp_path_factory.mktemp("study"))
    made.edit(one_run)
    environment = made.environment(OMP_NUM_THREADS="1", CHECKPOINT_SECONDS="0.1")
    with (made / "printed").open("w") as log:
        build = subprocess.Popen(SUBMIT, cwd=made.folder, env=environment, stdout=log, stderr=log)
    try:
        preempt(made, build)
        code = build.wait()
    finally:
        build.kill()
        build.wait()
    assert code == 0, (made / "printed").read_text()
    return made


def preempt(study: Checkout, build: subprocess.Popen) -> None:
    """Send the pretraining the signal that it has before its time is over, once it has a checkpoint."""
    scratch = study / "scratch/pretrain/byol"
    wait_for(lambda: build.poll() is not None or any(scratch.glob("*.pt")), "a checkpoint", seconds=300)
    assert build.poll() is None, (study / "printed").read_text()
    subprocess.run(["scancel", "--signal=USR1", jobs("pretrain")[0]["JobId"]], check=True)


def jobs(rule: str) -> list[dict[str, str]]:
    """What Slurm says of the jobs of a rule, oldest first."""
    found = [dict(re.findall(r"([\w/]+)=(\S*)", line)) for line in said("scontrol", "-o", "show", "job").splitlines()]
    return [job for job in found if job["Comment"].startswith(f"rule_{rule}_")]


def test_the_pretraining_is_one_job_over_both_nodes_with_a_gpu_of_each_as_the_profile_says(study):
    for job in jobs("pretrain"):
        assert (job["NumNodes"], job["NumTasks"], job["NodeList"]) == ("2", "2", "one,two")
        assert (job["CPUs/Task"], job["TresPerNode"]) == ("8", "gres:gpu:1")


def test_what_runs_a_backbone_has_a_gpu(study):
    for job in [*jobs("transfer"), *jobs("analyse")]:
        assert "gpu" in job["TresPerJob"]


def test_a_preempted_pretraining_is_started_again_and_goes_on_from_its_checkpoint(study):
    stopped, again = jobs("pretrain")
    assert (stopped["JobState"], again["JobState"]) == ("FAILED", "COMPLETED")
    (log,) = study.folder.glob(f".snakemake/slurm_logs/rule_pretrain/**/{stopped['JobId']}.log")
    told = re.search(r"told to stop after step (\d+) of 42", log.read_text())
    begun = re.search(r"(\d+)/42", (study / "logs/pretrain/byol.log").read_text())
    assert told
    assert begun
    assert 0 < int(begun[1]) == int(told[1])


def test_after_the_cluster_neither_engine_has_anything_to_do(study):
    assert study.would_run() == set()
    assert "up to date" in study.run("dvc", "status")
    assert study.reproduce() == set()


def test_two_nodes_train_what_one_process_does(study, tmp_path):
    alone = study.copy(tmp_path / "alone")
    alone.run("python", "-m", "stages.pretrain", "byol", OMP_NUM_THREADS="1", PROCESSES_PER_NODE="1")
    expected, found = load_file(alone / MODEL), load_file(study / MODEL)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-2, atol=3e-2)
