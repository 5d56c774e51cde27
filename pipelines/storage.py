"""Where Dagster keeps its runs, as `dagster.yaml` names it: its own storage in Postgres, on connections that stay open.

Dagster opens a connection for each of a run's hundreds of events, and for each look at its queue, every second. Here
all of a process's instances share one pool; the code server makes an instance for each tick.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from dagster._serdes import ConfigurableClassData
from dagster_postgres.storage import DagsterPostgresStorage
from dagster_postgres.utils import pg_url_from_config
from sqlalchemy import Engine, create_engine

# what a process uses at once beyond its one connection is opened and closed as it comes
MOST_AT_ONCE = 20
# the pool of all who write the warehouse: `pipelines.assets.load`, which would bring all of a run's libraries
WRITERS_POOL = "warehouse"


class PooledPostgresStorage(DagsterPostgresStorage):
    """Storage in Postgres, whose three parts use the process's one pool, and where one run writes at a time."""

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(postgres_url, inst_data=inst_data)
        for part in (self._run_storage, self._event_log_storage, self._schedule_storage):
            part._engine = _engine(postgres_url)
        # Dagster gives a pool its default limit with the first runs that wait for it, but lets these pass unlimited
        if WRITERS_POOL not in self._event_log_storage.get_concurrency_keys():
            self._event_log_storage.set_concurrency_slots(WRITERS_POOL, 1)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledPostgresStorage":
        """Return what `dagster.yaml` says."""
        return cls(pg_url_from_config(config_value), inst_data)


@cache
def _engine(postgres_url: str) -> Engine:
    # pre-ping: Postgres may have been started anew since
    return create_engine(
        postgres_url, isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=MOST_AT_ONCE, pool_pre_ping=True
    )
