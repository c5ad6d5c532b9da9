"""A params.yaml is refused in one line, and in bounded time, whatever is in it."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from whole_in_parts.config.params_file import MOST_BYTES, read
from whole_in_parts.config.study import load_study

ROOT = Path(__file__).parents[3]
LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 60))

REFUSED = {
    LAUGHS: "line 8: a7: more than 5,000,000 values, once its aliases are followed",
    CHAIN: "line 38: a38.0: more than 40 levels of nesting",
    "a: &a [1, *a]": "line 1: a.1: contains itself",
    "[" * 5000: "line 1: more than 40 levels of nesting",
    "runs:\n  a: {b: 1}\n  a: {b: 2}": "line 3: a: given twice in runs; keep one of them",
    "a: [1, .inf]": "line 1: a.1: .inf is not a finite number",
    "a: -.inf": "line 1: a: -.inf is not a finite number",
    "a: .nan": "line 1: a: .nan is not a finite number",
    "a: 1.0e+30": "line 1: a: 1.0e+30 is beyond ±2^53",
    "a: 18446744073709551616": "line 1: a: 18446744073709551616 is beyond ±2^53",
    "a: 2026-01-01": "line 1: a: a date, 2026-01-01; put it in quotes if it is meant as text",
    "a: {1: b}": "line 1: a key that is no text, in a; put it in quotes",
    'a: "b\\0c"': "line 1: a: has the control character '\\x00'",
    f"a: {'b' * 5000}": "line 1: a: 5000 characters, and a value may have 4000",
    f"{'b' * 300}: 1": "line 1: 'bbbbbbbbbbbbbbbbbbbb'…: 300 characters, and a key may have 100",
    "a: [1": "not YAML: while parsing a flow sequence",
    "a: *b": "not YAML: found undefined alias",
    "a: !!python/object/apply:os.system ['true']": "not YAML: could not determine a constructor",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "params.yaml"


@pytest.mark.parametrize(("text", "message"), REFUSED.items(), ids=[text[:20] for text in REFUSED])
def test_what_no_study_needs_is_refused_with_its_place(file, text, message):
    file.write_text(text)
    started = time.monotonic()
    with pytest.raises(ValueError) as refused:
        read(file)
    assert str(refused.value).startswith(f"{file}: {message}")
    assert "\n" not in str(refused.value)
    assert time.monotonic() - started < 5


def test_a_file_that_is_no_text_is_refused(file):
    file.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(ValueError, match=r"line 2 is not UTF-8; save the file in that encoding"):
        read(file)
    file.write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(ValueError, match="larger than 16 MiB"):
        read(file)
    with pytest.raises(ValueError, match="Is a directory"):
        read(file.parent)


def test_aliases_merges_and_an_empty_file_are_read_as_yaml_has_them(file):
    file.write_text("a: &a {b: 1}\nc: {<<: *a, d: 1.0e-4}\ne: [*a, *a]\nf: {<<: [*a, *a]}")
    assert read(file) == {"a": {"b": 1}, "c": {"b": 1, "d": 1e-4}, "e": [{"b": 1}] * 2, "f": {"b": 1}}
    file.write_text("")
    assert read(file) is None


@pytest.mark.parametrize("number", ["1e30", "inf", "nan", "'1e400'"])
def test_a_number_that_yaml_takes_for_text_is_held_to_the_same_bounds(file, number):
    study = (ROOT / "workflow/studies/small.yaml").read_text()
    file.write_text(study.replace("learning_rate: 0.2", f"learning_rate: {number}"))
    with pytest.raises(ValueError, match=r"optimizer.*learning_rate: (beyond ±2\^53|Input should be a finite number)"):
        load_study(file)


NASTY = [
    "-1",
    "0",
    "1e30",
    ".inf",
    "'",
    "[",
    "{",
    "&a",
    "*a",
    "!!x",
    "null",
    "true",
    "é",
    "\t",
    "99999999999",
    "~",
    ": ",
]


def replaced(text: str, draw: random.Random) -> str:
    """Put a nasty value in the place of some characters."""
    start = draw.randrange(len(text))
    return text[:start] + draw.choice(NASTY) + text[start + draw.randrange(6) :]


def moved(text: str, draw: random.Random) -> str:
    """Move a line elsewhere."""
    lines = text.splitlines(keepends=True)
    lines.insert(draw.randrange(len(lines)), lines.pop(draw.randrange(len(lines))))
    return "".join(lines)


def doubled(text: str, draw: random.Random) -> str:
    """Write a part of the text twice."""
    start, end = sorted(draw.randrange(len(text)) for _ in range(2))
    return text[:end] + text[start:]


def cut(text: str, draw: random.Random) -> str:
    """End the text early."""
    return text[: draw.randrange(len(text))]


@pytest.mark.parametrize("mutate", [replaced, moved, doubled, cut])
def test_a_mutated_study_is_accepted_or_refused_by_one_kind_of_error(
    file, seed, mutate: Callable[[str, random.Random], str]
):
    draw = random.Random(seed)
    text = (ROOT / "params.yaml").read_text()
    refused = 0
    for _ in range(100):
        file.write_text(mutate(text, draw))
        try:
            load_study(file)
        except ValueError as error:
            refused += 1
            assert str(error).startswith(f"{file}: ")
    assert refused
