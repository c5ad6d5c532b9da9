"""Tars of images, read strictly, since they come from elsewhere.

`tarfile` takes a damaged header for the end of an archive, does not read behind the end, where the checksum of gzip is,
and reads headers of any size. Here each of these is an error, and so are members that are neither file nor folder.
"""

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Self

from whole_in_parts.data.sources._files import check_name, check_size, is_image, printable
from whole_in_parts.failure import Failure, first_line
from whole_in_parts.progress import progress

CHUNK = 1 << 20
HEADER_LIMIT = 1 << 20
"""Limit in bytes of the headers that are read as a whole: long names and attributes."""
READ_AS_A_WHOLE = {
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
}


# Names of their own, since the parameter of `fromtarfile` hides the module.
END = tarfile.EOFHeaderError  # type: ignore[attr-defined]
BROKEN, UNREADABLE = tarfile.HeaderError, tarfile.ReadError


class Header(tarfile.TarInfo):
    """A header of a tar; one that is broken or too large is an error wherever it is."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if header.size < 0 or (header.type in READ_AS_A_WHOLE and header.size > HEADER_LIMIT):
            raise tarfile.ReadError(f"a header of size {header.size}")
        return header

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except END:
            raise
        except BROKEN as error:
            raise UNREADABLE(str(error)) from error


def is_tar(file: Path) -> bool:
    """Return whether a file begins as a tar does, compressed or not; it may be damaged behind that."""
    try:
        with tarfile.open(file, tarinfo=Header):
            return True
    except tarfile.TarError:
        return False
    except Exception:  # it is compressed, and damaged: decompressors raise errors of many types
        return True


@contextmanager
def opened(archive: Path) -> Iterator[tarfile.TarFile]:
    """Open a tar.

    Raises:
        Failure: it cannot be read, or what is read of it cannot be written.
    """
    try:
        with tarfile.open(archive, tarinfo=Header) as tar:
            yield tar
    except Failure:
        raise
    except Exception as error:  # decompressors and parsers raise errors of many types
        if isinstance(error, OSError) and error.errno is not None:
            raise Failure(f"{archive}: cannot be unpacked: {error}") from error
        raise Failure(f"{archive}: a tar that is damaged or cut short ({first_line(error)}); get it again") from error


def unpack(archive: Path, packed: Path) -> None:
    """Copy the images of a tar to an uncompressed tar; other files are left out.

    Raises:
        Failure: the archive is damaged, or a member of it is not as `check_member` has it.
    """
    with opened(archive) as source, tarfile.open(packed, "w") as tar:
        for member in progress(source, "unpack", unit="file"):
            check_member(archive, member)
            if member.isfile() and is_image(member.name):
                tar.addfile(member, source.extractfile(member))
        read_to_end(source)


def check_member(archive: Path, member: tarfile.TarInfo) -> None:
    """Check a member of a tar before it is read.

    Raises:
        Failure: its name leads out of the archive or is not UTF-8, it is neither file nor folder, or it is too large.
    """
    check_name(str(archive), member.name)
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise Failure(f"{archive}: {member.name} leads out of the archive; pack it with relative names")

    if member.islnk() or member.issym():
        raise Failure(
            f"{archive}: {member.name} is a link to {printable(member.linkname)}; pack the file in its place "
            "(tar --dereference --hard-dereference)"
        )
    if not (member.isdir() or member.isfile()) or member.issparse():
        raise Failure(f"{archive}: {member.name} is neither a plain file nor a folder; leave it out")

    if member.size < 0:
        raise Failure(f"{archive}: {member.name} has a size of {member.size} bytes; get the archive again")
    if is_image(member.name):
        check_size(f"{archive}: {member.name}", member.size)


def read_to_end(tar: tarfile.TarFile) -> None:
    """Read a tar to the end of its file, so that decompression compares its checksum.

    Raises:
        ReadError: more than zeros are behind the end of the archive.
    """
    assert tar.fileobj is not None
    while chunk := tar.fileobj.read(CHUNK):
        if chunk.strip(b"\0"):
            raise tarfile.ReadError("more follows behind its end")


def members(packed: Path) -> list[tuple[str, int, int]]:
    """List the members of an uncompressed tar: name, offset, size.

    Raises:
        Failure: it is damaged.
    """
    with opened(packed) as tar:
        return [(member.name, member.offset_data, member.size) for member in tar]
