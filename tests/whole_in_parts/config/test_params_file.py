"""Whatever is in params.yaml, it is read, or refused in bounded time by a message that names the file."""

import copy
import random
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from whole_in_parts.config.params_file import LARGEST_BYTES, read
from whole_in_parts.config.recipes import redundant_overrides
from whole_in_parts.config.study import load_study

ROOT = Path(__file__).parents[3]
SMALL = (ROOT / "workflow/studies/small.yaml").read_text(encoding="utf-8")
BOUND = 20
"""Seconds of a processor, forty times what was seen: a bound for what would not end, not a measurement."""
SHIPPED = [ROOT / "params.yaml", *sorted((ROOT / "workflow/studies").glob("*.yaml"))]


def nested(first: str, *, times: int = 30, wrap: str = "[{}]") -> str:
    """Nine aliases of what is above, and of them nine, and so on."""
    inner = (wrap.format(", ".join([f"*a{level}"] * 9)) for level in range(times))
    return "\n".join([f"a0: &a0 {first}", *(f"a{level}: &a{level} {text}" for level, text in enumerate(inner, 1))])


REFUSED = {
    "a billion laughs": (nested("[ha, ha]"), "line 7: a6.2: more than 500000 values, if every alias is written out"),
    "a billion merges": (nested("{a: 1}", wrap="{{<<: [{}]}}"), "more than 500000 values"),
    "a list that holds itself": ("runs: &a [1, *a]", "line 1: runs.1: *a stands within what it names"),
    "a mapping that merges itself": ("runs: &a {<<: *a}", "line 1: runs.<<: *a stands within what it names"),
    "lists as deep as a stack": ("[" * 100_000, "line 1: 0.0.0.0"),
    "mappings as deep as a stack": ("{a: " * 100_000, "more than 32 lists and mappings within each other"),
    "a section twice": (SMALL + "knn: {}\n", "knn stands here again; line "),
    "a run twice": ("runs:\n  a: {}\n  b: {}\n  a: {}\n", "line 4: runs: a stands here again; line 2 has it, too"),
    "code": ("knn: !!python/object/apply:os.system [ls]", "line 1: knn: tag:yaml.org,2002:python/object/apply"),
    "a tag": ("knn: !!int x", "line 1: knn: tag:yaml.org,2002:int: a tag; allowed are plain values"),
    "a path that ends within": ('path: "data\\0.tar"', "line 1: path: a control character, '\\x00'"),
    "an alias of nothing": ("knn: *b", "line 1: knn: *b: nothing above is called &b"),
    "a second document": ("a: 1\n---\nb: 2\n", "line 2: a second document begins; allowed is one"),
    "a key that is a list": ("{[1, 2]: 3}", "line 1: a key that is no word"),
    "a key of two lines": ('"a\\nb": 3', "line 1: 'a\\nb': a key of several lines"),
    "a number of 5,000 digits": ("seed: " + "9" * 5000, "line 1: seed: a text of 5000 characters; allowed are 4096"),
    "half a number": ("seed: 0b_", "not YAML: invalid literal for int()"),
    "no end": ("a: 1\nruns: [", "line 3: not YAML: "),
    "a merge of a number": ("runs: {<<: 3}", "line 1: not YAML: expected a mapping"),
    "Latin-1": ("a: 1\nb: ä\n".encode("latin-1"), "line 2: not UTF-8 (byte 0xe4); save it so"),
    "UTF-16": ("a: 1".encode("utf-16"), "line 1: not UTF-8 (byte 0xff); save it so"),
    "no text": (b"\0\1\2", "not YAML: unacceptable character"),
    "an archive": (b"a" * (LARGEST_BYTES + 1), "larger than 8 MiB, which no study is"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_plain_data_is_refused_with_one_line_that_names_the_file(tmp_path, name):
    content, message = REFUSED[name]
    file = tmp_path / "params.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=r"params\.yaml: ") as error:
        read(file)
    assert str(error.value).startswith(f"{file}: ")
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 1000


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"cannot be read \(Is a directory\)"):
        read(tmp_path)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_study_is_read_as_yaml_has_it(path):
    assert read(path) == yaml.safe_load(path.read_text(encoding="utf-8"))


def test_a_date_is_text(tmp_path):
    (tmp_path / "params.yaml").write_text("a: 2026-02-30\nb: 2026-02-03\n")
    assert read(tmp_path / "params.yaml") == {"a": "2026-02-30", "b": "2026-02-03"}


HOSTILE = [
    *(None, True, "", " ", "~", "x" * 300, "ä/../../etc", "-1", "1e30", "nan", "../..", "$(ls)", "%s", "{}", "<<"),
    *(0, -1, 1, 2, 3, 7, 10**9, 10**9 + 1, 2**63, 2**64, -(2**63), 10**30, 0.5, -0.5, 1e-320, 1e30, 1e308),
    *(
        float("inf"),
        float("-inf"),
        float("nan"),
        [],
        {},
        [[]],
        [None],
        {"name": None},
        {"name": "co"},
        {"a": {"b": []}},
    ),
    *([0.5, 0.1], [1, 2, 3], ["byol"], ["byol", "byol"], {"byol": 1}, {1: 2}, {None: 3}, [1] * 1000),
]


def places(content: object) -> Iterator[tuple[dict | list, object]]:
    """Every section or list of a study, with each of its keys or positions."""
    if isinstance(content, dict | list):
        for key in content if isinstance(content, dict) else range(len(content)):
            yield content, key
            yield from places(content[key])


def mutated(dice: random.Random) -> str:
    """The small study with one to three values replaced, removed, added or exchanged, or some of its text harmed."""
    if dice.random() < 0.3:
        start = dice.randrange(len(SMALL))
        end = min(len(SMALL), start + dice.choice([0, 1, 5, 200]))
        inserted = dice.choice(
            ["", "\0", "&a ", "*run", "[", "{", "- ", ": ", "<<: ", "\t", "!!", "'", "\n", "  ", "% "]
        )
        return SMALL[:start] + inserted + SMALL[end:]
    content = copy.deepcopy(yaml.safe_load(SMALL))
    for _ in range(dice.choice([1, 1, 2, 3])):
        section, key = dice.choice([*places(content)])
        change = dice.randrange(4)
        if change == 0:
            del section[key]
        elif change == 1 and isinstance(section, dict):
            section[dice.choice(["x", "name", "seed", "runs", "x" * 300])] = copy.deepcopy(dice.choice(HOSTILE))
        elif change == 2:
            section[key] = copy.deepcopy(dice.choice([*places(content)])[0])
        else:
            section[key] = copy.deepcopy(dice.choice(HOSTILE))
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


@pytest.mark.parametrize("start", range(0, 400, 100))
def test_of_a_hundred_harmed_studies_each_is_read_or_refused_in_bounded_time(tmp_path, start):
    file = tmp_path / "params.yaml"
    accepted = 0
    for number in range(start, start + 100):
        file.write_text(mutated(random.Random(number)), encoding="utf-8")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        try:
            load_study(file)
            accepted += 1
            redundant_overrides(file)
        except ValueError as error:
            assert all(line.startswith(f"{file}: ") and len(line) < 2000 for line in str(error).splitlines())
        assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < BOUND, number
    assert 0 < accepted < 50
