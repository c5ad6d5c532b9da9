"""A model is pushed to the Hub in one commit, and loaded from there by its name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.whole_in_parts.models.backbones.examples import R18
from tests.whole_in_parts.models.test_saved_backbone import trained
from tests.workflow.hub_server import TOKEN, Hub, hub
from whole_in_parts.models import saved_backbone
from whole_in_parts.results import result_dir

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server():
    with hub() as server:
        yield server


@pytest.fixture
def place(tmp_path) -> Path:
    """A place with the result of the run `byol`."""
    folder = tmp_path / result_dir("pretrain", "byol") / "model"
    saved_backbone.save(trained(R18), R18, 32, folder)
    (folder / "README.md").write_text("---\nlibrary_name: whole-in-parts\n---\n\n# byol\n")
    return tmp_path


def run(server: Hub, place: Path, *command: str, token: str | None = TOKEN) -> tuple[int, str]:
    """The exit code of a program, and what it prints, where the Hub is the one of this test."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    environment |= {"HF_ENDPOINT": server.address, "HF_HOME": str(place / "cache"), "HF_HUB_DISABLE_XET": "1"}
    environment |= {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    environment |= {"HF_TOKEN": token} if token else {}
    done = subprocess.run(
        [sys.executable, *command], cwd=place, env=environment, text=True, capture_output=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def push(server: Hub, place: Path, *arguments: str, token: str | None = TOKEN) -> tuple[int, str]:
    return run(server, place, "-m", "workflow.hub", "push", *arguments, token=token)


def test_a_model_is_pushed_in_one_commit_and_loaded_by_its_name(server, place):
    code, printed = push(server, place, "byol", "lab/byol")
    assert code == 0, printed
    assert printed.startswith(f"{server.address}/lab/byol\n")
    folder = place / "results/pretrain/byol/model"
    assert server.repositories == {"lab/byol": {file.name: file.read_bytes() for file in folder.iterdir()}}
    assert server.commits == ["Upload byol"]
    assert server.visibilities == {"lab/byol": None}

    loading = "import whole_in_parts; print(whole_in_parts.load('lab/byol').features)"
    code, printed = run(server, place, "-c", loading)
    assert code == 0, printed
    assert printed.startswith("512\n")


def test_a_repository_that_is_there_gets_another_commit_and_a_private_one_is_asked_for(server, place):
    for _ in range(2):
        assert push(server, place, "byol", "lab/byol", "--private")[0] == 0
    assert len(server.commits) == 2
    assert server.visibilities == {"lab/byol": "private"}


def only_line(result: tuple[int, str]) -> str:
    """The one line of an error."""
    code, printed = result
    assert code == 1
    (line,) = printed.splitlines()
    return line


@pytest.mark.parametrize(
    ("arguments", "token", "told"),
    [
        (["byol", "lab/byol"], None, "no token of the Hub; set HF_TOKEN to one that may write, or run: hf auth login"),
        (["dino", "lab/dino"], TOKEN, "results/pretrain/dino/model: has no config.json; build it first: dvc repro "),
        (["byol", "byol"], TOKEN, "byol: no name of a repository on the Hub; it is owner/name"),
        (["byol", "lab/byol"], "hf_wrong", "lab/byol: the Hub does not take the model ("),
        (["byol", "others/byol"], TOKEN, "others/byol: the Hub does not take the model ("),
    ],
    ids=["no token", "no model", "no name", "a wrong token", "no right"],
)
def test_what_cannot_be_pushed_is_one_error_and_nothing_is_uploaded(arguments, token, told, server, place):
    assert only_line(push(server, place, *arguments, token=token)).startswith(f"workflow.hub: error: {told}")
    assert server.commits == []
    assert server.stored == {}


def test_a_damaged_model_is_not_pushed(server, place):
    file = place / "results/pretrain/byol/model/model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    assert "no model that can be loaded" in only_line(push(server, place, "byol", "lab/byol"))
    assert server.repositories == {}
