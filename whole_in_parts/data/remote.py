"""Remote shards: each is downloaded as a whole when it is first read, verified, and kept in a local cache.

The location depends on the machine, and is therefore set in its environment:

- `SHARDS_URL`: a location with the layout of `results/shard/`: http://…, https://… or s3://…;
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

from fsspec.callbacks import Callback  # type: ignore[import-untyped]

from whole_in_parts.data.index import map_shard
from whole_in_parts.environment import float_from_environment
from whole_in_parts.failure import Failure, first_line
from whole_in_parts.results import SCRATCH

FETCHERS = 4
"""Threads that download."""
ATTEMPTS = 3
FIRST_PAUSE = 1.0
"""Seconds before the second attempt; each later pause is longer by as much."""
CONNECT_SECONDS = 10
READ_SECONDS = 60
SLOWEST = 100_000
"""Bytes a second that a download has at least, on average, beside `READ_SECONDS` to begin."""
SCHEMES = ("https://", "http://", "s3://")
TAR_END = 1 << 16
"""More bytes than follow the last image of a shard: its label, and the end of the tar."""


class RemoteShards:
    """The shards of a split that are not stored beside its index."""

    def __init__(self, url: str, checksums: Mapping[str, str], ends: Mapping[str, int]):
        """
        Args:
            url: the folder of the shards, or nothing if all of them are beside the index.
            checksums: the sha256 of each shard, by its file name.
            ends: the byte behind the last image of each shard.

        Raises:
            Failure: the URL is of a scheme that is not supported.
        """
        if url and (not url.startswith(SCHEMES) or "::" in url):
            raise Failure(f"SHARDS_URL: {url} is not allowed; it begins with {', '.join(SCHEMES)}, and has no ::")
        self.url = url
        self.checksums = checksums
        self.ends = ends
        self.cache = Path(os.environ.get("SHARD_CACHE") or SCRATCH / "shard_cache")
        self.limit = float_from_environment("SHARD_CACHE_GB", 100.0) * 1e9
        self._pool = ThreadPoolExecutor(FETCHERS, "fetch")
        self._futures: dict[str, Future[mmap.mmap]] = {}
        self._in_use: set[str] = set()
        """Shards that the cache must keep."""
        self._lock = Lock()

    def tar(self, name: str, following: Sequence[str] = ()) -> mmap.mmap:
        """Return a shard, memory-mapped, and start to download the `following` ones.

        Raises:
            Failure: the shard cannot be downloaded, its checksum differs from the index, or it exceeds the cache.
        """
        self.check_fits_cache(max(self.ends[shard] for shard in (name, *following)))
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

    def cached(self, name: str) -> Path:
        """Return the file of a shard in the cache."""
        return self.cache / f"{self.checksums[name]}.tar"

    def _fetch(self, name: str) -> mmap.mmap:
        """Map a shard of the cache into memory; download it first if it is not there."""
        self.cache.mkdir(parents=True, exist_ok=True)
        file = self.cached(name)
        with file_lock(file.with_suffix(".lock")):
            cached = file.exists()
            local = file if cached else file.with_suffix(".unfinished")
            if not cached:
                download(f"{self.url}/{name}", local, self.checksums[name], self.ends[name] + TAR_END)

            os.utime(local)  # the time of the last use, by which shards are removed
            mapped = map_shard(local, self.ends[name])

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


class Bounds(Callback):
    """Ends a download that sends too much, or takes too long; fsspec calls it for every piece that arrives."""

    def __init__(self, url: str, limit: int):
        """Begin to count; `limit` is in bytes."""
        super().__init__()
        self.url = url
        self.limit = limit
        self.seconds = READ_SECONDS + limit / SLOWEST
        self.deadline = time.monotonic() + self.seconds

    def set_size(self, size: int | None) -> None:
        """Check the size that a server announces.

        Raises:
            Failure: it is beyond the limit.
        """
        self._check_size(size or 0)

    def relative_update(self, inc: int = 1) -> None:
        """Count a piece.

        Raises:
            Failure: the bytes are more than the limit, or the time is over.
        """
        self.value += inc
        self._check_size(self.value)
        if time.monotonic() > self.deadline:
            raise Failure(f"{self.url}: {self.value} bytes in {self.seconds:.3g} seconds; the server is too slow")

    def _check_size(self, size: int) -> None:
        if size > self.limit:
            raise Failure(f"{self.url}: {size} bytes or more, where the index has a shard of at most {self.limit}")


def download(url: str, file: Path, sha256: str, limit: int) -> None:
    """Download a file of at most `limit` bytes and verify its checksum; an incomplete file is removed.

    Raises:
        Failure: every attempt failed, or another attempt would be in vain.
    """
    try:
        for attempt in range(ATTEMPTS):
            time.sleep(FIRST_PAUSE * attempt)
            problem = _try(url, file, sha256, limit)
            if problem is None:
                return
        raise Failure(f"{url}: the shard cannot be fetched, in {ATTEMPTS} attempts: {problem}")
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def _try(url: str, file: Path, sha256: str, limit: int) -> str | None:
    """Download a file once; return the reason if it failed.

    Raises:
        Failure: another attempt would be in vain.
    """
    from fsspec.core import url_to_fs  # type: ignore[import-untyped]

    try:
        bounds = Bounds(url, limit)
        # Bounds ends a slow body; the timeout of all of an answer is for slow headers.
        filesystem, path = url_to_fs(url, **_options(url, 2 * bounds.seconds))
        filesystem.get_file(path, str(file), callback=bounds)
    except Failure:
        raise
    except FileNotFoundError:
        raise Failure(f"{url}: there is no such shard, which the index names") from None
    except PermissionError as error:
        raise Failure(f"{url}: no permission to read the shard: {error}") from error
    except Exception as error:  # every fsspec file system raises its own exceptions
        return f"{type(error).__name__}: {first_line(error)}"

    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return None if digest == sha256 else f"its sha256 is {digest}, and the index expects {sha256}"


def _options(url: str, seconds: float) -> dict[str, Any]:
    """Return the timeouts of a server as arguments of its fsspec file system; `seconds` are for all of an answer."""
    if url.startswith("http"):
        from aiohttp import ClientTimeout

        timeout = ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)
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
