"""Which events the database has: a look that spares a repeated import most of its work. Nothing is written here."""

from collections.abc import Sequence

from sqlalchemy import Connection, Text, Uuid, bindparam, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from ingest_app.kinds import Row
from ingest_app.schema import event_ids

# the ids as one text: a parameter each would cost more than the look itself
_IDS = cast(bindparam("ids", type_=Text), ARRAY(Uuid()))
_COUNT_KNOWN = (
    select(func.count())
    .select_from(event_ids)
    .where(event_ids.c.table_name == bindparam("table_name"), event_ids.c.event_id == func.any(_IDS))
)


def are_known(connection: Connection, table_name: str, rows: Sequence[Row]) -> bool:
    """Tell whether the table has seen all these events. A guard against doubles it is not: that is the append itself.

    The first row is asked for alone, as a file is nearly always new or known as a whole.
    """
    found = len({row["event_id"] for row in rows})
    return bool(rows) and (
        _count_known(connection, table_name, rows[:1]) == 1 and _count_known(connection, table_name, rows) == found
    )


def _count_known(connection: Connection, table_name: str, rows: Sequence[Row]) -> int:
    ids = "{" + ",".join([row["event_id"].hex for row in rows]) + "}"
    return connection.execute(_COUNT_KNOWN, {"ids": ids, "table_name": table_name}).scalar_one()
