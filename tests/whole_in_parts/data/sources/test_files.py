"""Folders with entries that are no images, whatever they are called."""

import os
from pathlib import Path

import pytest

from whole_in_parts.data.sources import _files
from whole_in_parts.data.sources._files import check_file, image_files
from whole_in_parts.failure import Failure


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder with an image of a class."""
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat/0.png").write_bytes(b"image")
    (tmp_path / "cat/notes.txt").write_bytes(b"text")
    return tmp_path


def refused(place: Path) -> str:
    with pytest.raises(Failure) as failure:
        [*image_files(place)]
    return str(failure.value)


def test_images_are_found_and_other_files_are_not(place):
    assert [*image_files(place)] == [place / "cat/0.png"]


def test_a_pipe_is_refused_and_not_waited_for(place):
    os.mkfifo(place / "cat/f.png")
    assert refused(place) == f"{place}/cat/f.png: an image has to be a regular file; remove it"


def test_a_folder_that_is_called_as_an_image_is_walked_into(place):
    (place / "dog.png").mkdir()
    (place / "dog.png/0.png").touch()
    assert sorted(image_files(place)) == [place / "cat/0.png", place / "dog.png/0.png"]


def test_a_link_to_an_image_is_read_and_one_to_nothing_refused(place):
    (place / "cat/1.png").symlink_to("0.png")
    assert sorted(image_files(place)) == [place / "cat/0.png", place / "cat/1.png"]
    (place / "cat/2.png").symlink_to("absent")
    assert refused(place) == f"{place}/cat/2.png: cannot be read (No such file or directory)"


def test_a_folder_that_links_to_one_above_it_is_refused(place):
    (place / "cat/again").symlink_to("..")
    assert refused(place) == f"{place}/cat/again: a link to a folder that it lies in; remove it"


@pytest.mark.skipif(os.getuid() == 0, reason="root reads every folder")
def test_a_folder_that_cannot_be_read_is_refused(place):
    (place / "cat").chmod(0)
    try:
        assert refused(place) == f"{place}/cat: cannot be read (Permission denied)"
    finally:
        (place / "cat").chmod(0o700)


def test_a_folder_that_is_missing_is_refused(tmp_path):
    assert refused(tmp_path / "absent") == f"{tmp_path}/absent: cannot be read (No such file or directory)"


@pytest.mark.parametrize("name", [b"caf\xe9.png", b"caf\xe9/0.png"], ids=["image", "class"])
def test_a_name_that_is_not_utf8_is_refused(place, name):
    file = os.path.join(os.fsencode(place), name)  # noqa: PTH118
    os.makedirs(os.path.dirname(file), exist_ok=True)  # noqa: PTH103, PTH120
    with open(file, "wb"):  # noqa: PTH123
        pass
    assert "caf\\xe9" in refused(place)
    assert refused(place).endswith("is a name that is not UTF-8; rename it")


def test_a_name_with_control_characters_is_refused_in_one_line(place):
    (place / "cat/one\n\x1b[2Jtwo.png").touch()
    assert refused(place) == f"{place}/cat: 'one\\n\\x1b[2Jtwo.png' is a name with control characters; rename it"


def test_an_image_that_is_too_large_is_refused_before_it_is_read(place, monkeypatch):
    monkeypatch.setattr(_files, "IMAGE_LIMIT", 4)
    with pytest.raises(Failure, match=r"cat/0\.png: an image of 5 bytes; allowed are 4$"):
        check_file(place / "cat/0.png")
