"""What a failed check says of the rows that it found: the first few, whatever their types, on one line each."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.dbt_project import NodeResult
from pipelines.failed_rows import LONGEST_VALUE, SHOWN_ROWS, with_failed_rows

FAILED = NodeResult("test.x", "assert_x", "test", "main", "fail", "Got 1 result", 1, 0.1)


def told(home: Path, sql: str, failure_count: int = 1) -> NodeResult:
    [result] = with_failed_rows(
        home / "warehouse.duckdb", [replace(FAILED, compiled_sql=sql, failure_count=failure_count)]
    )
    return result


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", "7"),
        ("NULL", "null"),
        ("DATE '2024-02-29'", "2024-02-29"),
        ("1.50::DECIMAL(4, 2)", "1.50"),
        ("'it''s; user_id 8'", '"it\'s; user_id 8"'),
        ("chr(27) || '[2J' || chr(10)", r"'\x1b[2J\n'"),
        (f"repeat('x', {LONGEST_VALUE})", f"'{'x' * (LONGEST_VALUE - 1)}…"),
    ],
)
def test_value_is_told_on_one_line(tmp_path: Path, value: str, expected: str) -> None:
    result = told(tmp_path, f"SELECT {value} AS found, 1 AS other")
    assert result.failed_rows == [{"found": expected, "other": "1"}]
    assert result.message == f"Got 1 result; found {expected}, other 1"


def test_only_the_first_of_many_are_told(tmp_path: Path) -> None:
    result = told(tmp_path, "SELECT 1000 - n AS n FROM range(1000) AS numbers (n)", failure_count=1000)
    assert [row["n"] for row in result.failed_rows] == [str(number) for number in range(1, SHOWN_ROWS + 1)]
    assert result.message.endswith(f"; n {SHOWN_ROWS}; and {1000 - SHOWN_ROWS} more")


def test_rows_that_cannot_be_read_leave_the_count(tmp_path: Path) -> None:
    assert told(tmp_path, "SELECT 1 FROM no_such_table").message == FAILED.message


def test_what_passed_is_left_as_it_was(tmp_path: Path) -> None:
    passed = replace(FAILED, status="pass", failure_count=0, compiled_sql="SELECT 1 WHERE false")
    assert with_failed_rows(tmp_path / "no" / "warehouse.duckdb", [passed]) == [passed]
    assert not (tmp_path / "no").exists()
