"""Shards that lie on servers, real ones on loopback: by HTTP, and by S3."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from stages.shard import pack
from tests.whole_in_parts.data.test_shards import flip, some_samples
from tests.workflow.test_remote import BUCKET, KEY, SECRET, s3  # noqa: F401
from whole_in_parts.data import remote
from whole_in_parts.data.shards import INDEX, Images, Shards
from whole_in_parts.failure import Failure

SHARDS = 5


class Handler(SimpleHTTPRequestHandler):
    """Serves files, and remembers what was asked for."""

    asked: list[str] = []  # noqa: RUF012

    def do_GET(self):
        self.asked.append(Path(self.path).name)
        super().do_GET()

    def log_message(self, *given):
        pass


@pytest.fixture
def http(tmp_path) -> Iterator[str]:
    """The address of a server over the folder `there`."""
    Handler.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path / "there")))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def whole(tmp_path) -> Shards:
    """A split of five shards, all there."""
    folder = tmp_path / "there/pictures/train"
    folder.mkdir(parents=True)
    pack(some_samples(number=18), ["a", "b"], folder, 4, "train")
    return Shards(folder)


@pytest.fixture
def here(whole, tmp_path, monkeypatch) -> Path:
    """A folder with the index alone, and a cache."""
    folder = tmp_path / "here/pictures/train"
    folder.mkdir(parents=True)
    shutil.copy(whole.folder / INDEX, folder)
    monkeypatch.setenv("SHARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote, "FIRST_PAUSE", 0.01)
    return folder


def cached(tmp_path) -> list[Path]:
    """What is in the cache, but for the locks."""
    return [file for file in (tmp_path / "cache").iterdir() if file.suffix != ".lock"]


def kept(split: Shards, tmp_path, name: str) -> list[Path]:
    """What of a shard is in the cache."""
    return [file for file in cached(tmp_path) if split._remote.checksums[name] in file.name]


def test_images_of_shards_on_a_server_are_those_of_shards_on_the_disk(whole, here, http, tmp_path, monkeypatch):
    monkeypatch.setenv("SHARDS_URL", http)
    split = Shards(here)
    assert not Handler.asked
    assert [split[number] for number in (17, 3, 9)] == [whole[number] for number in (17, 3, 9)]
    images, indices = (Images(given, 12, 3) for given in (split, whole)), np.arange(len(whole))
    assert np.array_equal(*(given[indices] for given in images))
    assert sorted(Handler.asked) == sorted(file.name for file in whole.folder.glob("*.tar"))
    assert sorted(file.suffix for file in cached(tmp_path)) == [".tar"] * SHARDS


def test_what_is_in_the_cache_or_beside_the_index_is_not_fetched(whole, here, http, monkeypatch):
    monkeypatch.setenv("SHARDS_URL", http)
    shutil.copy(whole.folder / "000002.tar", here)
    for _ in range(2):
        assert [*Shards(here).iter_shards()] == [*enumerate(whole)]
    assert sorted(Handler.asked) == [f"00000{number}.tar" for number in (0, 1, 3, 4)]


def test_shards_in_turn_come_from_s3(whole, here, s3, tmp_path, monkeypatch):  # noqa: F811
    for name in ("whole", "lacking"):
        shutil.copytree(tmp_path / "there", tmp_path / "served" / BUCKET / name)
    (tmp_path / "served" / BUCKET / "lacking/pictures/train/000003.tar").unlink()
    secrets = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in (secrets | {"AWS_ENDPOINT_URL": s3}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SHARDS_URL", f"s3://{BUCKET}/lacking")
    with pytest.raises(Failure, match=rf"s3://{BUCKET}/lacking/pictures/train/000003\.tar: there is no such shard"):
        [*Shards(here).iter_shards()]
    monkeypatch.setenv("SHARDS_URL", f"s3://{BUCKET}/whole")
    assert [*Shards(here).iter_shards()] == [*enumerate(whole)]


@pytest.mark.parametrize("ranks", [1, 2, 7])
def test_readers_share_the_shards_and_each_image_is_read_once(whole, ranks):
    parts = [[*whole.iter_shards(rank, ranks)] for rank in range(ranks)]
    assert sorted(number for part in parts for number, _ in part) == [*range(len(whole))]
    assert all(image == whole[number] for part in parts for number, image in part)


def test_the_cache_keeps_to_its_size_while_shards_are_read_iter_shards(whole, here, http, tmp_path, monkeypatch):
    size = (whole.folder / "000000.tar").stat().st_size
    monkeypatch.setenv("SHARDS_URL", http)
    monkeypatch.setenv("SHARD_CACHE_GB", str(3.5 * size / 1e9))
    most = 0
    for number, image in Shards(here).iter_shards():
        assert image == whole[number]
        most = max(most, len(list((tmp_path / "cache").glob("*.tar"))))
    assert most == 3


def test_a_set_that_the_cache_cannot_hold_is_not_read_at_random(whole, here, monkeypatch):
    monkeypatch.setenv("SHARDS_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SHARD_CACHE_GB", "1e-6")
    with pytest.raises(Failure, match=r"the cache \(.*/cache\) may have 1e-06: allow more by SHARD_CACHE_GB"):
        Shards(here)[0]


def test_the_next_shards_are_fetched_while_one_is_read(whole, here, http, tmp_path, monkeypatch):
    monkeypatch.setenv("SHARDS_URL", http)
    next(Shards(here).iter_shards())
    for _ in range(500):
        if len(list((tmp_path / "cache").glob("*.tar"))) == 3:
            return
        time.sleep(0.01)
    raise TimeoutError


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tar: tar.unlink(), "there is no such shard"),
        (lambda tar: tar.write_bytes(tar.read_bytes()[:-1]), "in 3 attempts: its sha256 is"),
    ],
    ids=["missing", "changed"],
)
def test_a_shard_that_is_not_on_the_server_as_the_index_says_is_named_and_not_kept(
    whole, here, http, tmp_path, monkeypatch, change, message
):
    monkeypatch.setenv("SHARDS_URL", http)
    change(whole.folder / "000001.tar")
    split = Shards(here)
    number = next(number for number in range(len(split)) if "000001.tar" in split.name(number))
    started = time.monotonic()
    with pytest.raises(Failure, match=f"{http}/pictures/train/000001.tar: .*{message}"):
        split[number]
    assert time.monotonic() - started < 10
    assert not kept(split, tmp_path, "000001.tar")


def test_a_server_that_does_not_answer_is_named_in_bounded_time(whole, here, tmp_path, monkeypatch):
    monkeypatch.setenv("SHARDS_URL", "http://127.0.0.1:9/shards")
    started = time.monotonic()
    with pytest.raises(Failure, match=r"http://127\.0\.0\.1:9/shards/pictures/train/.*in 3 attempts: ClientConnector"):
        Shards(here)[0]
    assert time.monotonic() - started < 10


@pytest.fixture
def answer(monkeypatch) -> Iterator[Callable[[Callable], None]]:
    """A function that starts a server whose body of every answer is what another function writes."""
    servers: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def make(body: Callable) -> None:
        class Hostile(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                with suppress(OSError):
                    body(self.wfile)

            def log_message(self, *given):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        monkeypatch.setenv("SHARDS_URL", f"http://127.0.0.1:{server.server_port}")

    yield make
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_answer_without_an_end_is_cut_off_at_the_size_of_the_shard(whole, here, answer, tmp_path):
    def endless(stream):
        while True:
            stream.write(bytes(1 << 16))

    answer(endless)
    split = Shards(here)
    with pytest.raises(Failure, match=r"000000\.tar: \d+ bytes or more, where the index has a shard of at most \d+"):
        next(split.iter_shards())
    assert not kept(split, tmp_path, "000000.tar")


def test_an_answer_that_trickles_is_given_up(whole, here, answer, tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "READ_SECONDS", 0.5)
    monkeypatch.setattr(remote, "SLOWEST", 1e6)

    def trickle(stream):
        while True:
            stream.write(b"ab")
            time.sleep(0.05)

    answer(trickle)
    split = Shards(here)
    with pytest.raises(Failure, match=r"000000\.tar: \d+ bytes in .* seconds; the server is too slow"):
        next(split.iter_shards())
    assert not kept(split, tmp_path, "000000.tar")


def test_a_size_that_a_server_announces_beyond_the_shard_is_refused():
    with pytest.raises(
        Failure, match=r"http://there/000000\.tar: 101 bytes or more, where the index has .* at most 100"
    ):
        remote.Bounds("http://there/000000.tar", 100).set_size(101)


@pytest.mark.parametrize(
    "url", ["ftp://there", "file:///there", "/there", "simplecache::https://there", "https://there::file:///here"]
)
def test_a_location_of_another_scheme_is_refused(whole, here, url, monkeypatch):
    monkeypatch.setenv("SHARDS_URL", url)
    with pytest.raises(Failure, match=f"SHARDS_URL: {url}.* is not allowed; it begins with https://, http://, s3://"):
        Shards(here)


def test_an_index_cannot_name_a_file_outside_the_cache(whole, here, http, tmp_path, monkeypatch):
    victim = tmp_path / "victim.tar"
    victim.write_bytes(b"precious")
    monkeypatch.setenv("SHARDS_URL", http)
    table = pq.read_table(here / INDEX)
    named = dict.fromkeys(json.loads(table.schema.metadata[b"shards"]), "../victim")
    pq.write_table(table.replace_schema_metadata(table.schema.metadata | {b"shards": json.dumps(named)}), here / INDEX)
    with pytest.raises(Failure, match=r"the sha256 of 000000\.tar is '\.\./victim'; allowed are 64 hexadecimal digits"):
        Shards(here)[0]
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "cache").exists()


def test_a_flipped_bit_in_the_cache_is_named_with_the_file_to_remove(whole, here, http, tmp_path, monkeypatch):
    monkeypatch.setenv("SHARDS_URL", http)
    split = Shards(here)
    image = split[0]
    damaged = split._remote.cached("000000.tar")
    flip(damaged, image)
    with pytest.raises(Failure, match=rf"{split.name(0)}: .* remove {damaged}, and it is downloaded again"):
        Shards(here)[0]
    damaged.unlink()
    assert Shards(here)[0] == image


def test_an_empty_file_in_the_cache_is_named(whole, here, http, tmp_path, monkeypatch):
    monkeypatch.setenv("SHARDS_URL", http)
    split = Shards(here)
    (tmp_path / "cache").mkdir()
    split._remote.cached("000000.tar").touch()
    with pytest.raises(Failure, match=f"{split._remote.cached('000000.tar')}: .* missing or empty"):
        split[0]


def test_a_shard_that_fails_once_is_asked_for_again(whole, here, http, monkeypatch):
    monkeypatch.setenv("SHARDS_URL", http)
    genuine, failed = remote._try, set()

    def unsteady(url: str, *given):
        if url not in failed:
            failed.add(url)
            return "reset"
        return genuine(url, *given)

    monkeypatch.setattr(remote, "_try", unsteady)
    assert [*Shards(here).iter_shards()] == [*enumerate(whole)]


def test_without_an_address_a_shard_that_is_missing_is_named(whole, here):
    with pytest.raises(Failure, match=r"here/pictures/train/000000\.tar: a shard that the index names is missing"):
        Shards(here)


def test_two_processes_share_a_cache(whole, here, http, monkeypatch):
    """They are two threads with a reader each, which locks of files keep apart as they do processes."""
    monkeypatch.setenv("SHARDS_URL", http)
    read: list[list] = [[], []]
    readers = [threading.Thread(target=lambda part=part: part.extend(Shards(here).iter_shards())) for part in read]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert read == [[*enumerate(whole)]] * 2
    assert len(Handler.asked) < 2 * SHARDS
