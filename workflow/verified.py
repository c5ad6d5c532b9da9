"""Take the content of files for what was read of them, and for nothing else.

DVC protects the objects of its cache from writing and takes each for what its name, the md5 of its bytes, says, without
reading it again; of a file that it restores it notes that hash. So a byte that changed in the cache becomes a result
that is reported as up to date.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc_data.hashfile.db import HashFileDB
from dvc_data.hashfile.db.local import LocalHashFileDB
from dvc_data.hashfile.meta import Meta
from dvc_data.hashfile.state import State
from dvc_objects.errors import ObjectFormatError

from workflow.read_once import attribute


@contextmanager
def verified_objects() -> Iterator[None]:
    """Within the context, an object of the cache is there only if its bytes are those that its name says."""
    with attribute(LocalHashFileDB, "check", _check):
        yield


@contextmanager
def verified_hashes(repo: Repo) -> Iterator[None]:
    """Within the context, the hash of a file is one that was computed from its bytes.

    They are read once, and again if the size, the modification time or the inode differ. DVC's own notes are left out,
    since those of restored files are hashes that the files should have.
    """
    read = State(repo.root_dir, str(Path(repo.site_cache_dir) / "read"), repo.dvcignore)
    try:
        with attribute(repo.cache.local, "state", read):
            yield
    finally:
        read.close()


def _check(cache: HashFileDB, oid: str, check_hash: bool = True, _info: dict[str, object] | None = None) -> Meta:
    """Compare an object with its name, as DVC does with those that are not protected; remove it if they differ.

    Raises:
        FileNotFoundError: the object is not there, or was removed.
        DvcException: it is damaged and cannot be removed.
    """
    path = Path(cache.oid_to_path(oid))
    try:
        return HashFileDB.check(cache, oid, check_hash, _info)
    except ObjectFormatError:
        message = f"{path}: damaged, since its md5 is not its name; removed, and what it was a copy of is built again"
        print(message, file=sys.stderr, flush=True)
        raise FileNotFoundError(path) from None
    except PermissionError as error:
        raise DvcException(
            f"{path}: damaged, or not to be read ({error.strerror}); remove it, or its folder"
        ) from error
