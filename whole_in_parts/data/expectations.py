"""Expectations on tables, evaluated by Great Expectations."""

import os
import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

import pandas as pd

from whole_in_parts.failure import Failure

with warnings.catch_warnings():
    # Great Expectations 1.24 imports a deprecated name of re. Its usage statistics are turned off.
    warnings.simplefilter("ignore", DeprecationWarning)
    os.environ["GX_ANALYTICS_ENABLED"] = "False"
    import great_expectations as gx
    from great_expectations import expectations as gxe
    from great_expectations.data_context.types.base import ProgressBarsConfig

FEW = 5
"""Limit of the rows that are shown for a broken expectation."""
VALUES = gxe.ExpectColumnValuesToBeBetween


class TableContract(NamedTuple):
    """A table of a split and its expectations; `names` are the columns that identify a row in messages."""

    split: str
    table: pd.DataFrame
    names: list[str]
    expectations: list[gxe.Expectation]


def expectation(words: str, allowed: str, kind: type[gxe.Expectation], **arguments: Any) -> gxe.Expectation:
    """Create an expectation with its description and the allowed values."""
    return kind(description=words, notes=allowed, **arguments)


def equal(words: str, allowed: str, first: str, second: str) -> gxe.Expectation:
    """Expect two columns to be equal."""
    return expectation(words, allowed, gxe.ExpectColumnPairValuesToBeEqual, column_A=first, column_B=second)


def within(
    words: str, column: str, low: float | None, high: float | None = None, kind: type[gxe.Expectation] = VALUES
) -> gxe.Expectation:
    """Expect the values of a column within bounds."""
    allowed = f"at most {high:g}" if low is None else f"at least {low:g}" if high is None else span(low, high)
    return expectation(words, allowed, kind, column=column, min_value=low, max_value=high)


def span(low: float, high: float) -> str:
    """Format a range, or a single value if both bounds are equal."""
    return f"{low:.10g}" if low == high else f"{low:.10g} to {high:.10g}"


def judge(contracts: Iterable[TableContract]) -> list[dict[str, Any]]:
    """Evaluate every expectation of every table with Great Expectations."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    tables = context.data_sources.add_pandas("contract").add_dataframe_asset("tables")
    whole = tables.add_batch_definition_whole_dataframe("whole")
    verdicts: list[dict[str, Any]] = []

    for table in contracts:
        batch = whole.get_batch({"dataframe": table.table})
        form = {"result_format": "SUMMARY", "unexpected_index_column_names": table.names}
        verdicts += [verdict(table, rule, batch.validate(rule, result_format=form)) for rule in table.expectations]
    return verdicts


def verdict(table: TableContract, rule: gxe.Expectation, outcome: Any) -> dict[str, Any]:
    """Summarise an outcome; for an expectation on a whole table, its first rows are shown.

    Raises:
        Failure: the expectation could not be evaluated.
    """
    result, names = outcome.to_json_dict()["result"], table.names
    if not result:
        raise Failure(f"{table.split}: {rule.description}: cannot be judged: {outcome.exception_info}")
    rows = result.get("partial_unexpected_index_list", table.table[names][:FEW].to_dict("records"))
    # Great Expectations returns the columns of a row in no fixed order.
    rows = [{name: row[name] for name in [*names, *sorted(row.keys() - names)]} for row in rows[:FEW]]
    return {
        "split": table.split,
        "expectation": rule.description,
        "held": outcome.success,
        "observed": observed(table.table, rule, result),
        "allowed": rule.notes,
        "broken_by": [] if outcome.success else rows,
    }


def observed(table: pd.DataFrame, rule: gxe.Expectation, result: dict[str, Any]) -> str:
    """Format the observed value of a table, or the range of a column, and the number of rows that break the rule."""
    if "observed_value" in result:
        return f"{result['observed_value']}"
    total, wrong = result["element_count"], result["unexpected_count"]
    rows = f"{wrong} of {total} break it" if wrong else f"all {total}"
    if not total or not isinstance(rule, VALUES):
        return rows
    values = span(table[rule.column].min(), table[rule.column].max())
    return f"{values}; {rows}" if wrong else values
