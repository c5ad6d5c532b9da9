"""Shards that lie elsewhere: each is fetched whole when it is first read, checked, and kept in a cache on this machine.

Where is a matter of the machine, and so said by its environment:

- `SHARDS_URL`: a place laid out as `results/shard/` is, https://…, s3://…, or another that fsspec knows;
- `SHARD_CACHE`: the folder of the cache, `scratch/shard_cache` if nothing is said; processes share it;
- `SHARD_CACHE_GB`: how large it may be, 100 if nothing is said; what was not used for longest makes room.
"""

import fcntl
import hashlib
import mmap
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from whole_in_parts.failure import Failure
from whole_in_parts.results import SCRATCH

FETCHERS, ATTEMPTS, FIRST_PAUSE = 4, 3, 1.0
CONNECT_SECONDS, READ_SECONDS = 10, 60


class Remote:
    """The shards of a split that are not beside its index."""

    def __init__(self, url: str, checksums: Mapping[str, str]):
        """
        Args:
            checksums: the sha256 of each, by its name.
        """
        self.url, self.checksums = url, checksums
        self.cache = Path(os.environ.get("SHARD_CACHE") or SCRATCH / "shard_cache")
        self.limit = float(os.environ.get("SHARD_CACHE_GB") or 100) * 1e9
        self._pool = ThreadPoolExecutor(FETCHERS, "fetch")
        self._asked: dict[str, Future[mmap.mmap]] = {}
        self._needed: set[str] = set()
        self._lock = Lock()

    def tar(self, name: str, following: Sequence[str] = ()) -> mmap.mmap:
        """A shard; those that are to follow it are fetched meanwhile.

        Raises:
            Failure: it cannot be had, or is not what the index says.
        """
        with self._lock:
            self._needed = {name, *following}
            for each in (name, *following):
                if each not in self._asked:
                    self._asked[each] = self._pool.submit(self._fetch, each)
            asked = self._asked[name]
        try:
            return asked.result()
        except Failure:
            self._pool.shutdown(wait=False, cancel_futures=True)
            raise

    def ask_for_room(self, size: int) -> None:
        """
        Raises:
            Failure: the cache cannot have so many bytes at once.
        """
        if size > self.limit:
            raise Failure(
                f"{self.url}: the shards have {size / 1e9:.3g} GB, and the cache ({self.cache}) may have "
                f"{self.limit / 1e9:.3g}: allow more by SHARD_CACHE_GB, or read shard by shard"
            )

    def _fetch(self, name: str) -> mmap.mmap:
        self.cache.mkdir(parents=True, exist_ok=True)
        file = self.cache / f"{self.checksums[name]}.tar"
        with locked(file.with_suffix(".lock")):
            there = file.exists()
            fetched = file if there else file.with_suffix(".unfinished")
            if not there:
                download(f"{self.url}/{name}", fetched, self.checksums[name])
            os.utime(fetched)
            with fetched.open("rb") as stream:
                mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            with self._lock:
                self._make_room(0 if there else len(mapped))
                if not there:
                    fetched.replace(file)
        return mapped

    def _make_room(self, size: int) -> None:
        """Remove what was not used for longest, but for what is needed now, until so many bytes more fit.

        The memory of what is removed is given back too.
        """
        kept = {self.checksums[name] for name in self._needed}
        files = sorted(self.cache.glob("*.tar"), key=lambda file: file.stat().st_mtime)
        total = size + sum(file.stat().st_size for file in files)
        for file in files:
            if total > self.limit and file.stem not in kept:
                total -= file.stat().st_size
                file.unlink()
        left = {file.stem for file in files if file.exists()}
        self._asked = {
            name: asked for name, asked in self._asked.items() if not asked.done() or self.checksums[name] in left
        }


def download(url: str, file: Path, sha256: str) -> None:
    """Fetch a file and check it; what is not whole is not left there.

    Raises:
        Failure: it cannot be had in some attempts, or is another.
    """
    try:
        for attempt in range(ATTEMPTS):
            time.sleep(FIRST_PAUSE * attempt)
            problem = _try(url, file, sha256)
            if problem is None:
                return
        raise Failure(f"{url}: this shard cannot be fetched, in {ATTEMPTS} attempts: {problem}")
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def _try(url: str, file: Path, sha256: str) -> str | None:
    """Fetch a file once; give what is wrong, if anything is.

    Raises:
        Failure: another attempt would be in vain.
    """
    from fsspec.core import url_to_fs  # type: ignore[import-untyped]

    try:
        filesystem, path = url_to_fs(url, **_options(url))
        filesystem.get_file(path, str(file))
    except FileNotFoundError:
        raise Failure(f"{url}: there is no such shard, which the index names") from None
    except PermissionError as error:
        raise Failure(f"{url}: this shard may not be read: {error}") from error
    except Exception as error:  # each file system raises exceptions of its own
        return f"{type(error).__name__}: {error}"
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return None if digest == sha256 else f"its sha256 is {digest}, and the index expects {sha256}"


def _options(url: str) -> dict[str, Any]:
    """Limits to how long a server may be silent, as its file system wants to be told them."""
    if url.startswith("http"):
        from aiohttp import ClientTimeout

        patience = ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)
        return {"client_kwargs": {"timeout": patience}}
    if url.startswith("s3"):
        return {"config_kwargs": {"connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS}}
    return {}


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Let one thread of all processes at a time fetch a shard; others wait, and find it there."""
    with file.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
