"""What dvc.lock says of results is checked by their bytes, and evaluations are run again."""

import os
import sys
from pathlib import Path

from workflow.verify import agree, content_hash

VERIFY = (sys.executable, "-m", "workflow.verify")
BYTES_ALONE = (*VERIFY, "--again", "0")


def test_a_built_study_holds_and_its_evaluations_give_the_same_again(study):
    assert "stages verified: bytes, options and code are those of dvc.lock" in study.run(*VERIFY)


def test_an_edit_that_keeps_size_and_time_is_found(study):
    metrics = study / "results/linear/byol/metrics.json"
    was, content = metrics.stat(), metrics.read_bytes()
    metrics.chmod(0o644)
    metrics.write_bytes(content.replace(b"0", b"9").replace(b"1", b"9"))
    os.utime(metrics, ns=(was.st_atime_ns, was.st_mtime_ns))
    printed = study.run(*BYTES_ALONE, fails=True)
    assert printed.startswith("results/linear/byol: its bytes are not those that dvc.lock says of linear@byol (")


def test_an_evaluation_that_measures_something_else_is_found(study):
    """A metrics file and its record in dvc.lock that were both edited."""
    lock, folder = study / "dvc.lock", study / "results/knn/random"
    before = content_hash(folder)
    folder.chmod(0o755)
    (folder / "metrics.json").chmod(0o644)
    (folder / "metrics.json").write_text('{"top1_k5": 99.0, "top1_k20": 99.0}')
    lock.write_text(lock.read_text().replace(before, content_hash(folder)))
    assert "results/knn/random/metrics.json: top1_k5 is 99.0, and measured again" in study.run(*VERIFY, fails=True)


def test_a_missing_result_and_changed_options_are_found(study):
    study.edit(lambda content: content["knn"].update(temperature=0.1))
    study.run("rm", "-r", "results/mask/byol")
    printed = study.run(*BYTES_ALONE, fails=True)
    assert "results/mask/byol: missing, though dvc.lock has it; dvc pull, or build the study" in printed
    assert "results/resolve/knn/random.json: options or code have changed since, as of 3 others" in printed


def test_without_a_built_study_there_is_nothing_to_verify(study):
    (study / "dvc.lock").unlink()
    assert study.run(*VERIFY, fails=True).startswith("workflow.verify: error: dvc.lock: not found; build the study")


def test_accuracies_agree_to_half_a_point_and_other_numbers_to_a_hundredth():
    assert agree(70.0, 70.4)
    assert not agree(30.0, 31.0)
    assert agree(1000.0, 1009.0)
    assert not agree(70.0, None)


def test_a_directory_is_hashed_as_dvc_does(built):
    record = (built / "dvc.lock").read_text()
    assert content_hash(Path(built.folder, "results/pretrain/byol")) in record
