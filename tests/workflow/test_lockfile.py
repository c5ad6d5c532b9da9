"""dvc.lock has the same bytes, whether DVC writes it or a job replaces the record of its stage."""

from collections import OrderedDict
from pathlib import Path

import pytest
from dvc.dvcfile import Lockfile
from dvc.repo import Repo
from dvc.stage import serialize

from workflow import lockfile

LONG = "results/pretrain/" + "a_name_without_end_" * 8


@pytest.fixture
def repo(tmp_path, monkeypatch) -> Repo:
    monkeypatch.chdir(tmp_path)
    Repo.init(no_scm=True).close()
    return Repo()


def content(number: int, output: str) -> OrderedDict:
    """What is recorded of a stage: hashes that look like numbers, sizes, and lines that are too long."""
    deps = [{"path": "params.yaml", "hash": "md5", "md5": f"{number:032d}", "size": number}]
    outs = [{"path": output, "hash": "md5", "md5": "1e10" + "0" * 28 + ".dir", "size": 7, "nfiles": 2}]
    return OrderedDict(cmd=f"python -m stages.mask && echo {'word ' * 30}", deps=deps, outs=outs)


RECORDS = [
    ("resolve", content(1, "results/resolve")),
    ("mask@run_1", content(2, "results/mask/run_1")),
    ("mask@run_10", content(3, "results/mask/run_10")),
    ("mask@run_1", content(4, "results/mask/run_1")),
    ("pretrain@yes", content(5, LONG)),
    ("resolve", content(123456789, "results/resolve")),
    ("mask@run_10", content(3, "results/mask/run_10")),
    ("null", content(6, "results/null")),
]


def by_dvc(repo: Repo, name: str, entry: OrderedDict, monkeypatch) -> None:
    """Let DVC write a record as it does after `dvc repro`."""
    monkeypatch.setattr(serialize, "to_lockfile", lambda stage, **_: {name: entry})
    stage = type("Stage", (), {"name": name})()
    Lockfile(repo, "by_dvc.lock").dump_stages([stage])


def test_each_record_leaves_the_bytes_that_dvc_leaves(repo, monkeypatch):
    for name, entry in RECORDS:
        by_dvc(repo, name, entry, monkeypatch)
        lockfile.write(name, entry)
        assert Path("dvc.lock").read_bytes() == Path("by_dvc.lock").read_bytes()
    for name, entry in dict(RECORDS).items():
        assert lockfile.read(name) == dict(entry)
    assert lockfile.read("mask@run_2") == lockfile.read("mask@run") == {}


def test_what_follows_the_stages_stays_where_it_is(repo, monkeypatch):
    text = "schema: '2.0'\nstages:\n  a:\n    cmd: x\ndatasets:\n- name: b\n  type: url\n"
    for file in ("dvc.lock", "by_dvc.lock"):
        Path(file).write_text(text)
    for name, entry in RECORDS:
        by_dvc(repo, name, entry, monkeypatch)
        lockfile.write(name, entry)
    assert Path("dvc.lock").read_bytes() == Path("by_dvc.lock").read_bytes()


@pytest.mark.parametrize(
    "text", ["", "stages: {}\n", "schema: '2.0'\nstages: {a: {cmd: x}}\n", "schema: '2.0'\nstages:\n a"]
)
def test_a_file_that_dvc_did_not_write_is_left_to_dvc(tmp_path, text):
    file = tmp_path / "dvc.lock"
    file.write_text(text)
    for ask in (lambda: lockfile.read("a", file), lambda: lockfile.write("a", content(1, "a"), file)):
        with pytest.raises(lockfile.UnknownForm, match="not as DVC writes it"):
            ask()
    assert file.read_text() == text


def test_a_built_study_is_recorded_as_dvc_would(study):
    text = (study / "dvc.lock").read_bytes()
    rewrite = "from dvc.repo import Repo; repo = Repo(); stages = list(repo.index.stages)\n"
    rewrite += "with repo.lock: stages[0].dvcfile._lockfile.dump_stages(stages)"
    study.run("python", "-c", rewrite)
    assert (study / "dvc.lock").read_bytes() == text
