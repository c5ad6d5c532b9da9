"""Files of weights are read as data alone, completely or with one error."""

import argparse
import hashlib
import pickle
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
import torch
from safetensors.torch import save_file

from whole_in_parts.failure import Failure
from whole_in_parts.models import weight_file

TENSORS = {"fc.weight": torch.arange(6.0).view(2, 3), "fc.bias": torch.ones(2)}


class Code:
    """What a hostile file holds: an object that writes a file when it is read."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return (open, (str(self.file), "w"))


def test_safetensors_and_an_entry_of_what_torch_saved_hold_the_same_tensors(tmp_path):
    save_file(TENSORS, tmp_path / "a.safetensors")
    content = {"model": {"teacher": TENSORS, "epoch": 3}, "args": argparse.Namespace(arch="vit")}
    torch.save(content, tmp_path / "a.pth")
    for found in (
        weight_file.read(tmp_path / "a.safetensors"),
        weight_file.read(tmp_path / "a.pth", "model.teacher"),
    ):
        assert found.keys() == TENSORS.keys()
        assert all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.parametrize("save", [torch.save, lambda content, file: file.write_bytes(pickle.dumps(content))])
def test_code_in_a_file_is_refused_and_never_run(tmp_path, save):
    save({"state_dict": TENSORS, "more": Code(tmp_path / "written")}, tmp_path / "a.pth")
    with pytest.raises(Failure, match=r"a\.pth: (holds other objects than tensors|not a file of weights)"):
        weight_file.read(tmp_path / "a.pth", "state_dict")
    assert not (tmp_path / "written").exists()


def damaged(content: bytes) -> dict[str, bytes]:
    return {
        "cut": content[: len(content) // 2],
        "empty": b"",
        "text": b"not found\n",
        "a header of 2^60 bytes": (1 << 60).to_bytes(8, "little") + content[8:],
    }


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
@pytest.mark.parametrize("damage", damaged(b"12345678"))
def test_a_damaged_file_is_one_error_that_names_it(tmp_path, name, damage):
    file = tmp_path / name
    (save_file if name.endswith("tensors") else torch.save)(TENSORS, file)
    file.write_bytes(damaged(file.read_bytes())[damage])
    with pytest.raises(Failure, match=rf"{name}: ") as error:
        weight_file.read(file)
    assert len(str(error.value).splitlines()) == 1


def test_an_entry_that_is_not_there_is_an_error_with_those_that_are(tmp_path):
    torch.save({"state_dict": TENSORS, "epoch": 3}, tmp_path / "a.pth")
    with pytest.raises(Failure, match=r"has no entry model; it has: state_dict, epoch"):
        weight_file.read(tmp_path / "a.pth", "model")
    with pytest.raises(Failure, match=r"holds a int, and no dictionary"):
        weight_file.read(tmp_path / "a.pth", "epoch")


def test_the_sha256_is_compared_as_far_as_it_is_known(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    sha256 = hashlib.sha256(b"a").hexdigest()
    weight_file.check_sha256(tmp_path / "a", sha256)
    weight_file.check_sha256(tmp_path / "a", sha256[:8])
    with pytest.raises(Failure, match=f"its sha256 is {sha256}, and {'0' * 64} is expected"):
        weight_file.check_sha256(tmp_path / "a", "0" * 64)
    with pytest.raises(Failure, match="b: cannot be read"):
        weight_file.check_sha256(tmp_path / "b", sha256)


class Answers(BaseHTTPRequestHandler):
    """A whole answer, one that ends early, and none."""

    def do_GET(self):
        if self.path == "/absent":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", "8")
        self.end_headers()
        self.wfile.write(b"12345678" if self.path == "/whole" else b"1234")

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_download_is_in_its_place_when_it_is_whole_and_never_before(server, tmp_path):
    file = tmp_path / "weights/a.pth"
    weight_file.download(f"{server}/whole", file)
    assert file.read_bytes() == b"12345678"
    for path, reason in (("short", "4 bytes came of 8|IncompleteRead"), ("absent", "404")):
        with pytest.raises(Failure, match=rf"{path}: cannot be downloaded \(.*({reason}).*put the file at .*b\.pth"):
            weight_file.download(f"{server}/{path}", tmp_path / "weights/b.pth")
    assert [entry.name for entry in file.parent.iterdir()] == ["a.pth"]
