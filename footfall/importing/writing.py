"""Files into Postgres: one transaction a file, so that it is there whole or not at all."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from footfall.importing.errors import DatabaseRefused
from footfall.importing.source import Batch, Source
from ingest_app.database import connect

FAULTS_KEPT = 3
# two imports of the same events would wait for each other's rows in no certain order: a deadlock
ONE_IMPORT_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtext('footfall import'))")


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file: how many items it has, how many were new or changed; `faults` are the first ones."""

    path: Path
    read_count: int = 0
    new_count: int = 0
    bot_count: int = 0
    fault_count: int = 0
    faults: tuple[str, ...] = ()

    @property
    def known_count(self) -> int:
        """How many items were in the database before, just so."""
        return self.read_count - self.fault_count - self.new_count

    def plus(self, batch: Batch, new_count: int) -> "Imported":
        """Add what became of a batch."""
        return replace(
            self,
            read_count=self.read_count + batch.read_count,
            new_count=self.new_count + new_count,
            bot_count=self.bot_count + batch.bot_count,
            fault_count=self.fault_count + len(batch.faults),
            faults=(*self.faults, *batch.faults)[:FAULTS_KEPT],
        )


def write_file(engine: Engine, source: Source, on_share_read: Callable[[float], None]) -> Imported:
    """Write a file in one transaction; `on_share_read` hears 0 to 1.

    Raises ImportRefused, of which DatabaseRefused is the database's own, and DatabaseUnreachable.
    """
    imported = Imported(source.path)
    with connect(engine) as connection:
        try:
            with connection.begin():
                connection.execute(ONE_IMPORT_AT_A_TIME)
                for batch in _read_ahead(source.batches()):
                    imported = imported.plus(batch, source.write(connection, batch))
                    on_share_read(batch.share_read)
        except DBAPIError as error:
            raise DatabaseRefused(source.path, _reason(error)) from error
    return imported


def _read_ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Read the next batch while Postgres works on this one."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read ahead") as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch


def _reason(error: DBAPIError) -> str:
    """Say it in one line, without the values of the rows, and with the way out where there is one."""
    diagnosis = getattr(error.orig, "diag", None)
    reason = (diagnosis and diagnosis.message_primary) or " ".join(str(error.orig).split())
    if "no partition of relation" in reason:
        return f"{reason}: run `footfall migrate`"
    return reason
