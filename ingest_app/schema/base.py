"""What all tables share: the metadata and the columns that make rows extractable. No table stands here."""

from sqlalchemy import CheckConstraint, Column, DateTime, MetaData, func, text
from sqlalchemy.types import UserDefinedType

metadata = MetaData(
    naming_convention={
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_name)s_key",
    }
)

Timestamp = DateTime(timezone=True)


class Xid8(UserDefinedType[str]):
    """Postgres `xid8`: the 64-bit transaction id that wrote a row, never reused."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Name the type as DDL wants it."""
        return "xid8"


def xid_column() -> Column[str]:
    """Say which transaction wrote the row last: what the snapshot-difference load asks for."""
    return Column("xid", Xid8(), nullable=False, server_default=text("pg_current_xact_id()"))


def timestamp(name: str) -> Column[object]:
    """Build a required UTC time that is the moment of the insert unless given."""
    return Column(name, Timestamp, nullable=False, server_default=func.now())


def one_of(column: str, *values: str) -> CheckConstraint:
    """Build what MySQL calls an `ENUM`: a CHECK, so that a value can be added without a rewrite."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)
