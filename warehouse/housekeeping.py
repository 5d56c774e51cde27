"""Does what the rules of `retention` say is due, and looks at what is left. No rule stands here, and no Dagster.

Dagster's runs are kept by the room that knows Dagster, which hands over a keeper for them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import psycopg

from warehouse.aged_files import AGED_FILES, AgedFiles, oldest_spool
from warehouse.aged_rows import AGED_ROWS, AgedRows, Counts
from warehouse.errors import PostgresQueryFailed, WarehouseError, one_line
from warehouse.postgres import connect
from warehouse.queries import retention_query
from warehouse.retention import HOUSEKEEPING, RULES, Left, Rule, due_before, outliving

SPOOL, DAMAGED = ".spool", ".damaged"


class Keeper(Protocol):
    """What a rule is about, as housekeeping sees it."""

    def oldest(self) -> datetime | None:
        """Return when the oldest of it began to age."""

    def remove(self, before: datetime, *, dry_run: bool = True) -> Counts:
        """Remove what began to age before that moment, or only count it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one rule; with a `fault`, what kept it from being obeyed."""

    rule: Rule
    due_count: int = 0
    removed_count: int = 0
    oldest_at: datetime | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class House:
    """A home folder, its database and what tells how old things are there, at one moment of the database's clock."""

    connection: psycopg.Connection
    home: Path
    now: datetime
    settings: Mapping[str, str]
    keepers: Mapping[str, Keeper]

    @property
    def spool_began_at(self) -> datetime | None:
        """When the oldest spool began that waits for Postgres."""
        return oldest_spool(self.home, SPOOL)

    def due_before(self, rule: Rule) -> datetime | None:
        """Return the moment before which things are due, None where they stay. Raises SettingUnusable."""
        return due_before(rule, self.settings, self.now, self.spool_began_at)


def keep_house(
    database_url: str, home: Path, *, others: Mapping[str, Keeper] | None = None, dry_run: bool = True
) -> list[Outcome]:
    """Remove what is due by the rules of housekeeping, or only count it; one rule's fault does not stop the others.

    `others` are keepers by rule for what this room knows nothing of. Two at once do no harm, and who is killed leaves
    whole batches: the next run goes on. Raises PostgresUnreachable, PostgresQueryFailed.
    """
    with open_house(database_url, home, others or {}) as house:
        return [_obey(house, rule, dry_run) for rule in RULES]


def outlived(database_url: str, home: Path, *, others: Mapping[str, Keeper] | None = None) -> list[Left]:
    """Return what outlives its rule by more than two days; nothing is changed, and no large table is read whole.

    Raises PostgresUnreachable, PostgresQueryFailed, SettingUnusable.
    """
    with open_house(database_url, home, others or {}) as house:
        lefts = [_left(house, rule) for rule in RULES if rule.name in house.keepers]
        return outliving(lefts, house.settings, house.now, house.spool_began_at)


@contextmanager
def open_house(database_url: str, home: Path, others: Mapping[str, Keeper]) -> Iterator[House]:
    """Connect, with bounds on what a statement may wait and take. Raises PostgresUnreachable, PostgresQueryFailed."""
    with connect(database_url) as connection:
        try:
            connection.execute(retention_query("bounds"))
            [(now,)] = connection.execute(retention_query("clock")).fetchall()
            settings = dict(connection.execute(retention_query("settings")).fetchall())
        except psycopg.Error as error:
            raise PostgresQueryFailed("tell its time and settings", one_line(error)) from error
        rows = {name: _Rows(connection, rows) for name, rows in AGED_ROWS.items()}
        files = {name: _Files(home, files) for name, files in AGED_FILES.items()}
        yield House(connection, home, now, settings, {**rows, **files, "spools": _Spools(home), **others})


@dataclass(frozen=True, slots=True)
class _Rows:
    connection: psycopg.Connection
    rows: AgedRows

    def oldest(self) -> datetime | None:
        return self.rows.oldest(self.connection)

    def remove(self, before: datetime, *, dry_run: bool = True) -> Counts:
        return self.rows.remove(self.connection, before, dry_run=dry_run)


@dataclass(frozen=True, slots=True)
class _Files:
    home: Path
    files: AgedFiles

    def oldest(self) -> datetime | None:
        return self.files.oldest(self.home)

    def remove(self, before: datetime, *, dry_run: bool = True) -> Counts:
        return self.files.remove(self.home, before, dry_run=dry_run)


@dataclass(frozen=True, slots=True)
class _Spools:
    """Looked at and never removed: each holds accepted records, a damaged one too."""

    home: Path

    def oldest(self) -> datetime | None:
        return oldest_spool(self.home, SPOOL, DAMAGED)

    def remove(self, before: datetime, *, dry_run: bool = True) -> Counts:
        oldest = self.oldest()
        return Counts(due=int(oldest is not None and oldest < before))


def _obey(house: House, rule: Rule, dry_run: bool) -> Outcome:
    keeper = house.keepers.get(rule.name)
    try:
        before = house.due_before(rule)
        if keeper is None or before is None:
            return Outcome(rule)
        with _named(rule):
            # what another job removes is only counted
            counts = keeper.remove(before, dry_run=dry_run or rule.remover != HOUSEKEEPING)
            return Outcome(rule, counts.due, counts.removed, keeper.oldest())
    except (WarehouseError, OSError) as error:
        return Outcome(rule, fault=str(error))


def _left(house: House, rule: Rule) -> Left:
    with _named(rule):
        return Left(rule, house.keepers[rule.name].oldest())


@contextmanager
def _named(rule: Rule) -> Iterator[None]:
    """Say of what Postgres was asked where it refuses."""
    try:
        yield
    except psycopg.Error as error:
        raise PostgresQueryFailed(f"tell or remove what is old of {rule.name}", one_line(error)) from error
