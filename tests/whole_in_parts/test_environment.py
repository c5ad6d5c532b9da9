import pytest

from whole_in_parts.environment import float_from_environment, int_from_environment
from whole_in_parts.failure import Failure


@pytest.mark.parametrize(("text", "number"), [("0.5", 0.5), ("1e3", 1000.0), ("30", 30.0), ("", 7.0), (None, 7.0)])
def test_a_variable_is_a_number_or_its_default(monkeypatch, text, number):
    monkeypatch.delenv("SECONDS_TO_WAIT", raising=False)
    if text is not None:
        monkeypatch.setenv("SECONDS_TO_WAIT", text)
    assert float_from_environment("SECONDS_TO_WAIT", 7.0) == number


@pytest.mark.parametrize("text", ["abc", "nan", "inf", "-1", "1,5", "30s"])
def test_what_is_no_finite_number_or_below_the_minimum_is_refused_by_the_name_of_the_variable(monkeypatch, text):
    monkeypatch.setenv("SECONDS_TO_WAIT", text)
    with pytest.raises(Failure, match=f"^SECONDS_TO_WAIT={text}: allowed is a number of 0.0 or more$"):
        float_from_environment("SECONDS_TO_WAIT", 7.0)


@pytest.mark.parametrize("text", ["two", "1.5", "0", "nan"])
def test_a_number_of_processes_is_whole_and_not_zero(text):
    with pytest.raises(Failure, match=f"^PROCESSES={text}: allowed is a whole number of 1 or more$"):
        int_from_environment("PROCESSES", 1, 1, {"PROCESSES": text})
