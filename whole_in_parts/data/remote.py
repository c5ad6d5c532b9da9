"""Remote shards: each is downloaded as a whole when it is first read, verified, and kept in a local cache.

The location depends on the machine, and is therefore set in its environment:

- `SHARDS_URL`: a location with the layout of `results/shard/`: https://…, s3://…, or another URL that fsspec supports;
- `SHARD_CACHE`: the folder of the cache, by default `scratch/shard_cache`; processes share it;
- `SHARD_CACHE_GB`: the limit of its size in GB, by default 100; the least recently used shards are removed first.
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

FETCHERS = 4
"""Threads that download."""
ATTEMPTS = 3
FIRST_PAUSE = 1.0
"""Seconds before the second attempt; each later pause is longer by as much."""
CONNECT_SECONDS = 10
READ_SECONDS = 60


class RemoteShards:
    """The shards of a split that are not stored beside its index."""

    def __init__(self, url: str, checksums: Mapping[str, str]):
        """
        Args:
            url: the folder of the shards.
            checksums: the sha256 of each shard, by its file name.
        """
        self.url = url
        self.checksums = checksums
        self.cache = Path(os.environ.get("SHARD_CACHE") or SCRATCH / "shard_cache")
        self.limit = float(os.environ.get("SHARD_CACHE_GB") or 100) * 1e9
        self._pool = ThreadPoolExecutor(FETCHERS, "fetch")
        self._futures: dict[str, Future[mmap.mmap]] = {}
        self._in_use: set[str] = set()
        """Shards that the cache must keep."""
        self._lock = Lock()

    def tar(self, name: str, following: Sequence[str] = ()) -> mmap.mmap:
        """Return a shard, memory-mapped, and start to download the `following` ones.

        Raises:
            Failure: the shard cannot be downloaded, or its checksum differs from the index.
        """
        with self._lock:
            self._in_use = {name, *following}
            for shard in (name, *following):
                if shard not in self._futures:
                    self._futures[shard] = self._pool.submit(self._fetch, shard)
            future = self._futures[name]

        try:
            return future.result()
        except Failure:
            self._pool.shutdown(wait=False, cancel_futures=True)
            raise

    def check_fits_cache(self, size: int) -> None:
        """Check that `size` bytes fit in the cache at once.

        Raises:
            Failure: the limit of the cache is lower.
        """
        if size > self.limit:
            raise Failure(
                f"{self.url}: the shards take {size / 1e9:.3g} GB, and the cache ({self.cache}) may have "
                f"{self.limit / 1e9:.3g}: allow more by SHARD_CACHE_GB, or read shard by shard"
            )

    def _fetch(self, name: str) -> mmap.mmap:
        """Map a shard of the cache into memory; download it first if it is not there."""
        self.cache.mkdir(parents=True, exist_ok=True)
        file = self.cache / f"{self.checksums[name]}.tar"
        with file_lock(file.with_suffix(".lock")):
            cached = file.exists()
            local = file if cached else file.with_suffix(".unfinished")
            if not cached:
                download(f"{self.url}/{name}", local, self.checksums[name])

            os.utime(local)  # the time of the last use, by which shards are removed
            with local.open("rb") as stream:
                mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)

            with self._lock:
                self._make_room(0 if cached else len(mapped))
                if not cached:
                    local.replace(file)
        return mapped

    def _make_room(self, size: int) -> None:
        """Remove the least recently used shards that are not in use, until `size` more bytes fit.

        The memory maps of removed shards are dropped too.
        """
        kept = {self.checksums[name] for name in self._in_use}
        files = sorted(self.cache.glob("*.tar"), key=lambda file: file.stat().st_mtime)
        total = size + sum(file.stat().st_size for file in files)
        for file in files:
            if total > self.limit and file.stem not in kept:
                total -= file.stat().st_size
                file.unlink()

        left = {file.stem for file in files if file.exists()}
        self._futures = {
            name: future for name, future in self._futures.items() if not future.done() or self.checksums[name] in left
        }


def download(url: str, file: Path, sha256: str) -> None:
    """Download a file and verify its checksum; an incomplete file is removed.

    Raises:
        Failure: every attempt failed, or another attempt would be in vain.
    """
    try:
        for attempt in range(ATTEMPTS):
            time.sleep(FIRST_PAUSE * attempt)
            problem = _try(url, file, sha256)
            if problem is None:
                return
        raise Failure(f"{url}: the shard cannot be fetched, in {ATTEMPTS} attempts: {problem}")
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def _try(url: str, file: Path, sha256: str) -> str | None:
    """Download a file once; return the reason if it failed.

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
        raise Failure(f"{url}: no permission to read the shard: {error}") from error
    except Exception as error:  # every fsspec file system raises its own exceptions
        return f"{type(error).__name__}: {error}"

    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return None if digest == sha256 else f"its sha256 is {digest}, and the index expects {sha256}"


def _options(url: str) -> dict[str, Any]:
    """Return the timeouts of a server as arguments of its fsspec file system."""
    if url.startswith("http"):
        from aiohttp import ClientTimeout

        timeout = ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)
        return {"client_kwargs": {"timeout": timeout}}
    if url.startswith("s3"):
        return {"config_kwargs": {"connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS}}
    return {}


@contextmanager
def file_lock(file: Path) -> Iterator[None]:
    """Hold an exclusive lock between threads and processes, so that each shard is downloaded once."""
    with file.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
