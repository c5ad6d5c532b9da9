"""Checkpoints travel through a remote and come back to the bit: a real S3 server, on loopback."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

KEY, SECRET, BUCKET = "laboratory-access", "a-long-enough-secret", "cache"


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[str]:
    """The address of `rclone serve s3` over an empty folder with one bucket."""
    (tmp_path / "served" / BUCKET).mkdir(parents=True)
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    rclone = shutil.which("rclone", path=str(Path(sys.executable).parent))
    assert rclone, "the development requirements bring rclone"
    command = [
        rclone,
        "serve",
        "s3",
        str(tmp_path / "served"),
        "--addr",
        f"127.0.0.1:{port}",
        "--auth-key",
        f"{KEY},{SECRET}",
        "--config",
        str(tmp_path / "rclone.conf"),
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _await(port: int, server: subprocess.Popen) -> None:
    for _ in range(100):
        assert server.poll() is None, "the S3 server stopped"
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the S3 server does not answer")


def test_a_checkpoint_pushed_to_s3_gives_a_fresh_clone_the_same_features_to_the_bit(study, s3, tmp_path):
    secrets = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}
    study.run("dvc", "remote", "add", "--default", "laboratory", f"s3://{BUCKET}/study")
    study.run("dvc", "remote", "modify", "laboratory", "endpointurl", s3)
    study.run("dvc", "push", **secrets)
    study.commit()
    assert SECRET not in (study / ".dvc/config").read_text()

    clone = type(study)(tmp_path / "clone")
    study.run("git", "clone", "--quiet", str(study.folder), str(clone.folder))
    clone.run("dvc", "pull", "results/pretrain/co_byol", "shard@digits", "contract@digits", **secrets)
    assert not (clone / "results/extract").exists()
    clone.run("python", "-m", "stages.extract", "co_byol", OMP_NUM_THREADS="1")
    for split in ("train", "test"):
        features = f"results/extract/co_byol/{split}.arrow"
        assert (clone / features).read_bytes() == (study / features).read_bytes()
