"""A trained backbone is loaded by its folder or its name, also where torch and this package alone are installed."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import torch

import whole_in_parts
from tests.whole_in_parts.models.backbones.examples import R18, SMALL, rf_resnet
from tests.whole_in_parts.models.test_saved_backbone import trained
from whole_in_parts.failure import Failure
from whole_in_parts.models import hub, saved_backbone

OPTIONS = {
    "resnet": R18,
    "rf_resnet": rf_resnet("basic", [3, 3], [1, 2], SMALL, width=8, channels=1, mean=[0.3], std=[0.4]),
}
NEEDED = ["torch", "torchgen", "functorch", "sympy", "mpmath", "networkx", "jinja2", "markupsafe", "filelock", "fsspec"]
NEEDED += ["typing_extensions.py", "numpy", "numpy.libs", "pydantic", "pydantic_core", "annotated_types", "nvidia"]
NEEDED += [
    "typing_inspection",
    "yaml",
    "_yaml",
    "safetensors",
    "jaxtyping",
    "wadler_lindig",
    "packaging",
    "setuptools",
    "triton",
    "cuda",
]
"""What `pip install .` of this package brings, as it lies in site-packages; torch's own requirements are among them."""


@pytest.fixture
def bare(tmp_path, root) -> dict[str, str]:
    """The environment of a Python that finds the packages of `dependencies` alone, and this one."""
    place = tmp_path / "packages"
    place.mkdir()
    for name in NEEDED:
        if (package := Path(sysconfig.get_path("purelib"), name)).exists():
            (place / name).symlink_to(package)
    (place / "whole_in_parts").symlink_to(root / "whole_in_parts")
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(place), "OMP_NUM_THREADS": "1"}


def run(code: str, environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", OPTIONS)
def test_a_folder_is_loaded_with_the_same_features_where_torch_and_this_package_alone_are_installed(
    bare, name, tmp_path
):
    options = OPTIONS[name]
    backbone = trained(options)
    saved_backbone.save(backbone, options, 32, tmp_path / "model")
    images = torch.rand(2, options.channels, 32, 32)
    torch.save(images, tmp_path / "images.pt")
    code = (
        "import torch, whole_in_parts\n"
        "backbone = whole_in_parts.load('model')\n"
        "torch.save(backbone(torch.load('images.pt')).global_BD, 'features.pt')\n"
        "try:\n    import timm\nexcept ImportError:\n    print('alone')"
    )
    assert run(code, bare, tmp_path) == "alone\n"
    with torch.no_grad():
        torch.testing.assert_close(torch.load(tmp_path / "features.pt"), backbone(images).global_BD)


def test_torch_hub_loads_a_folder(tmp_path, root):
    options = OPTIONS["resnet"]
    saved_backbone.save(trained(options), options, 32, tmp_path / "model")
    loaded = torch.hub.load(str(root), "backbone", str(tmp_path / "model"), source="local")
    assert loaded.features == trained(options).features


def test_a_name_of_the_hub_is_downloaded_and_no_more_of_it_than_is_needed(tmp_path, monkeypatch):
    options = OPTIONS["resnet"]
    saved_backbone.save(trained(options), options, 32, tmp_path / "model")
    asked = []

    def snapshot_download(name: str, **more: object) -> str:
        asked.append((name, more))
        return str(tmp_path / "model")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert whole_in_parts.load("lab/co-byol@main").features == trained(options).features
    assert asked == [("lab/co-byol", {"revision": "main", "allow_patterns": ["config.json", "model.safetensors"]})]


@pytest.mark.parametrize("name", ["nowhere", "a/b/c", "../a b"])
def test_what_is_neither_a_folder_nor_a_name_is_refused(name):
    with pytest.raises(Failure, match="neither a folder nor a name on the Hub"):
        hub.load(name)


def test_a_name_that_the_hub_does_not_give_is_one_error(monkeypatch):
    def snapshot_download(name: str, **more: object) -> str:
        raise OSError("no network\nand more")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    with pytest.raises(Failure, match=r"lab/none: no such folder, and the Hub does not give it \(no network\)"):
        hub.load("lab/none")


def test_the_package_has_no_other_attribute():
    with pytest.raises(AttributeError, match="has no attribute save"):
        _ = whole_in_parts.save
