"""What many stages depend on is read once for all of them: a study of 300 runs has 2,700 stages.

DVC by itself hashes the inputs of each stage anew, and would take a minute for what takes seconds.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from dvc.output import Output
from dvc_data.hashfile.hash_info import HashInfo


@contextmanager
def read_once(contents: Mapping[str, HashInfo] | None = None) -> Iterator[None]:
    """Let DVC look at each file or folder once.

    Args:
        contents: hashes of files as they will be, by their paths; what is on the disk does not count for them.
    """
    known = dict(contents or {})
    with attribute(Output, "get_hash", _hash_once(known)), attribute(Output, "exists", _exists(frozenset(known))):
        yield


@contextmanager
def attribute(owner: object, name: str, value: object) -> Iterator[None]:
    """Let an attribute have another value for a while."""
    genuine = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, genuine)


def _hash_once(known: dict[str, HashInfo]) -> Callable[[Output], HashInfo]:
    get_hash = Output.get_hash
    hashed: dict[tuple[str, str], HashInfo] = {}

    def once(out: Output) -> HashInfo:
        if out.def_path in known:
            return known[out.def_path]
        key = out.fs_path, out.hash_name
        if key not in hashed:
            hashed[key] = get_hash(out)
        return hashed[key]

    return once


def _exists(known: frozenset[str]) -> property:
    exists = Output.exists.fget

    return property(lambda out: out.def_path in known or exists(out))
