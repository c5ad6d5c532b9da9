"""What the profile of a cluster asks for each kind of stage."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROFILE = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
STAGES = {file.stem: file.read_text() for file in (ROOT / "stages").glob("[!_]*.py")}
DISTRIBUTED = [kind for kind, text in STAGES.items() if "launch.run(" in text]


@pytest.mark.parametrize("kind", DISTRIBUTED)
def test_what_starts_several_processes_has_gpus_cores_memory_and_time_of_its_own(kind):
    resources = PROFILE["set-resources"][kind]
    assert resources.get("gpu", 0) > 0 or resources["gres"].startswith("gpu:")
    assert PROFILE["set-threads"][kind] > 1
    for name in ("mem_mb", "runtime"):
        assert resources[name] > PROFILE["default-resources"][name]


def test_all_other_stages_have_the_default_resources_and_no_gpu():
    assert set(PROFILE["set-resources"]) == set(PROFILE["set-threads"]) == set(DISTRIBUTED)
    assert not {"gpu", "gres"} & set(PROFILE["default-resources"])
