"""The table of what is done with a person's rows is held to the schema: no table and no column can be forgotten."""

import re

from sqlalchemy.dialects import postgresql

from ingest_app.schema import metadata
from warehouse.people.holdings import BY_TABLE, HOLDINGS, NOT_PEOPLE
from warehouse.people.matching import JSON_TEXTS, naming_columns
from warehouse.tables import TABLES

DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
# what a column is called that names, or holds a text that may name, a person
SUSPECT = re.compile(r"(_id|^person|^subject|^body|^answer|^detail|^meta|^certificate)$")


def test_every_table_stands_in_the_list() -> None:
    assert sorted(BY_TABLE) == sorted({*metadata.tables, "alembic_version"})
    assert len(BY_TABLE) == len(HOLDINGS)


def test_every_raw_table_stands_in_the_list() -> None:
    assert [table.name for table in TABLES if table.name not in BY_TABLE] == []


def test_every_suspect_column_is_spoken_of() -> None:
    found = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if SUSPECT.search(column.name)
    }
    found |= {"users.id", "accounts.id"}
    held = {f"{holding.table}.{column}" for holding in HOLDINGS for column in holding.columns}
    assert sorted(found - held - set(NOT_PEOPLE)) == []
    known = {f"{table.name}.{column.name}" for table in metadata.tables.values() for column in table.columns}
    assert (held | set(NOT_PEOPLE)) - known == set()


def test_what_is_kept_says_why() -> None:
    assert [holding.table for holding in HOLDINGS if holding.action != "delete" and not holding.why] == []
    assert [holding.table for holding in HOLDINGS if holding.action == "keep" and holding.columns] == []


def test_search_knows_what_removal_goes_by() -> None:
    for holding in HOLDINGS:
        if holding.columns:
            columns = {
                column.name: column.type.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
                for column in metadata.tables[holding.table].columns
            }
            found = naming_columns(holding.table, columns)
            told = {column: names for column, names in holding.columns.items() if names not in {"words", "record"}}
            assert {column: "account" if names == "link" else names for column, names in told.items()}.items() <= (
                found.items()
            )
            assert [one for one, names in holding.columns.items() if names == "record" and one not in JSON_TEXTS] == []
