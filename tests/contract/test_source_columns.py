"""What the models' YAML says of the tables of Postgres: their columns as Postgres has them."""

import psycopg
import pytest
import yaml

from pipelines.dbt_project import TRANSFORMS
from warehouse.tables import TABLES

COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod), attnotnull
FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname
"""


@pytest.mark.parametrize("table", [table.name for table in TABLES])
def test_source_has_the_columns_of_postgres(database: psycopg.Connection, table: str) -> None:
    [source] = yaml.safe_load((TRANSFORMS / "models" / "staging" / "_sources.yml").read_text())["sources"]
    [declared] = [found for found in source["tables"] if found["name"] == table]
    columns = [(column["name"], column["data_type"], "constraints" in column) for column in declared["columns"]]
    assert sorted(columns) == database.execute(COLUMNS, [table]).fetchall()
