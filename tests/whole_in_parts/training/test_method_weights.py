import pytest
import torch
from safetensors.torch import load_file

from tests.every_method import CARRIES, METHODS, MODIFIERS
from whole_in_parts.config.runs import Run
from whole_in_parts.failure import Failure
from whole_in_parts.models import saved_backbone
from whole_in_parts.modifiers.logo import PublicLoGo
from whole_in_parts.training import method_weights
from whole_in_parts.training.building import build

CPU = torch.device("cpu")
PUBLIC = MODIFIERS["logo"].model_copy(update={"mode": "public"})
SHARED = MODIFIERS["co"].model_copy(update={"shared_heads": True})
SOME = [("random", "none"), ("supervised", "none"), ("byol", "none"), ("byol", "logo"), ("dino", "co")]
SOME += [("moco_v2", "co"), ("swav", "multi_crop"), ("vicreg", "patches"), ("amdim", "none"), ("patch_dino", "none")]
SOME += [("obow", "none")]


@pytest.fixture
def options(small):
    """A function that gives the options of a run."""

    def given(method: str, modifier) -> Run:
        run = small.runs["byol"]
        backbone = run.backbone.model_copy(update={"strides": [1, 2, 2]})
        return run.model_copy(update={"method": METHODS[method], "modifier": modifier, "backbone": backbone})

    return given


def trained(run: Run):
    """A method that has nothing left of its initialisation."""
    method = build(run, classes=10)
    for number, tensor in enumerate(method.state_dict(keep_vars=True).values()):
        if isinstance(tensor, torch.Tensor):
            tensor.data = torch.rand(tensor.shape).to(tensor.dtype) + number
    return method


def kept(method, run: Run, folder):
    """The method after it was saved and loaded."""
    saved_backbone.save(method.backbone, run.backbone, run.image_size, folder / "model")
    method_weights.save(method, folder)
    return method_weights.load(build(run, classes=10), folder, CPU)


def test_the_runs_here_are_ones_that_a_study_may_have():
    assert set(SOME) < set(CARRIES)


@pytest.mark.parametrize(
    ("method", "modifier"),
    [(method, MODIFIERS[modifier]) for method, modifier in SOME] + [("byol", PUBLIC), ("moco_v2", SHARED)],
)
def test_a_saved_method_loads_to_the_bit_but_for_its_queues(options, tmp_path, method, modifier):
    run = options(method, modifier)
    before = trained(run)
    after = kept(before, run, tmp_path)
    state = {name: tensor for name, tensor in before.state_dict().items() if isinstance(tensor, torch.Tensor)}
    differing = [name for name, tensor in state.items() if not torch.equal(tensor, after.state_dict()[name])]
    assert all("queue" in name for name in differing)
    assert not after.training
    assert not any(parameter.requires_grad for parameter in after.parameters())


def test_a_loaded_method_projects_as_it_did(options, tmp_path):
    run = options("byol", MODIFIERS["co"])
    torch.manual_seed(3)
    before = build(run, classes=10).eval()
    for head in before.base.heads.projector.parameters():
        head.data.normal_()
    global_BD = torch.rand(5, before.backbone.features)
    assert torch.equal(kept(before, run, tmp_path).project(global_BD), before.project(global_BD))


def test_neither_the_backbone_nor_a_queue_is_saved_twice(options, tmp_path):
    run = options("moco_v2", SHARED)
    method = trained(run)
    kept(method, run, tmp_path)
    names = set(load_file(tmp_path / method_weights.FILE))
    assert not any(name.startswith(("base.networks.online", "local_heads")) or "queue" in name for name in names)
    assert {name.split(".")[1] for name in names} == {"networks", "heads"}


def test_the_affinity_of_the_authors_code_loads_without_its_optimizers(options, tmp_path):
    run = options("byol", PUBLIC)
    method = kept(trained(run), run, tmp_path)
    assert isinstance(method, PublicLoGo)
    assert method.optimizers["affinity"].state_dict()["state"] == {}


@pytest.mark.parametrize("problem", ["missing", "short", "other"])
def test_a_file_that_does_not_fit_is_a_failure_that_names_it(options, tmp_path, problem):
    run = options("byol", MODIFIERS["none"])
    kept(trained(run), run, tmp_path)
    file, asked = tmp_path / method_weights.FILE, options("simclr", MODIFIERS["none"]) if problem == "other" else run
    if problem == "missing":
        file.unlink()
    if problem == "short":
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(Failure, match=r"method\.safetensors: no method that can be loaded"):
        method_weights.load(build(asked, classes=10), tmp_path, CPU)


def test_a_projector_of_another_width_is_a_failure(options, tmp_path):
    run = options("byol", MODIFIERS["none"])
    kept(trained(run), run, tmp_path)
    wider = run.model_copy(update={"method": run.method.model_copy(update={"projector": [48, 16]})})
    with pytest.raises(Failure, match="size mismatch"):
        method_weights.load(build(wider, classes=10), tmp_path, CPU)
