"""Hash every file once while DVC computes the status of all stages: 2,700 in a study of 300 runs.

DVC hashes the inputs of every stage separately, which takes a minute instead of seconds.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from dvc.output import Output
from dvc_data.hashfile.hash_info import HashInfo


@contextmanager
def read_once(contents: Mapping[str, HashInfo] | None = None) -> Iterator[None]:
    """Let DVC hash every file or folder once.

    Args:
        contents: hashes by path of files that a build will write; they replace those of the files on the disk.
    """
    known = dict(contents or {})
    with attribute(Output, "get_hash", _hash_once(known)), attribute(Output, "exists", _exists(frozenset(known))):
        yield


@contextmanager
def attribute(owner: object, name: str, value: object) -> Iterator[None]:
    """Replace an attribute within a context."""
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


def _hash_once(known: dict[str, HashInfo]) -> Callable[[Output], HashInfo]:
    """Return a `get_hash` that uses the known hashes and caches the others."""
    get_hash = Output.get_hash
    hashed: dict[tuple[str, str], HashInfo] = {}

    def cached(out: Output) -> HashInfo:
        if out.def_path in known:
            return known[out.def_path]
        key = out.fs_path, out.hash_name
        if key not in hashed:
            hashed[key] = get_hash(out)
        return hashed[key]

    return cached


def _exists(known: frozenset[str]) -> property:
    """Return an `exists` that is true of the paths with known hashes, too."""
    exists = Output.exists.fget

    return property(lambda out: out.def_path in known or exists(out))
