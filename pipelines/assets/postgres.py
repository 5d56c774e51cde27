"""Where the path begins in the graph: the tables of Postgres. Others write them; nothing here reads or makes them."""

from collections.abc import Mapping

import dagster as dg

GROUP = "postgres"
OWNERS = ["team:operations"]


def postgres_assets(tables: Mapping[str, str]) -> list[dg.AssetSpec]:
    """Return an external asset per table; `tables` gives each name and what it holds."""
    return [
        dg.AssetSpec(
            key=[GROUP, table],
            group_name=GROUP,
            owners=OWNERS,
            kinds={"postgres"},
            description=f"{description} As the ingest app writes it: what happened a moment ago is here first.",
        )
        for table, description in tables.items()
    ]
