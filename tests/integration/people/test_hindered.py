"""What stands in the way of an erasure is told in a line with a way on, and there always is one."""

import duckdb
import pytest

from footfall.erasing import erase, look
from pipelines.errors import RefreshFailed
from tests.integration.people.conftest import settings_of
from tests.integration.people.persons import SUBJECT, Place
from tests.integration.people.test_erase import run_erase
from tests.integration.people.test_erase_kill import kill_after
from warehouse.archive.errors import LooseFilesStay, WarehouseBehindArchive
from warehouse.errors import PostgresQueryFailed, WarehouseOutdated
from warehouse.people.erasures import alone
from warehouse.people.errors import NotRebuilt


def test_half_done_erasure_outlives_a_lost_warehouse(place: Place) -> None:
    kill_after(place.home, "postgres.remove")
    place.home.warehouse_path.unlink()
    with pytest.raises(WarehouseBehindArchive, match="run `footfall refresh --full`"):
        run_erase(place)
    place.home.load(full=True)
    assert run_erase(place).certificate


def test_warehouse_of_an_older_footfall_is_one_line(place: Place) -> None:
    with duckdb.connect(str(place.home.warehouse_path)) as warehouse:
        warehouse.execute("DROP VIEW IF EXISTS sources.users; ALTER TABLE raw.users DROP COLUMN account_id")
    with pytest.raises(WarehouseOutdated, match=r"raw\.users"):
        run_erase(place)
    place.home.load(full=True)
    assert run_erase(place).certificate


def test_damaged_loose_file_is_named(place: Place) -> None:
    (place.archive / "only-here" / "tracking_events-20200102T000000.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(LooseFilesStay, match="tracking_events-20200102T000000"):
        look(settings_of(place), place.home.database_url, SUBJECT)


def test_failed_refresh_says_what_is_left(place: Place) -> None:
    def refresh() -> None:
        raise RefreshFailed("check", "a check failed", "a run")

    with pytest.raises(NotRebuilt, match=r"analytics\.duckdb still shows .* run `footfall erase --user 424242` again"):
        erase(settings_of(place), place.home.database_url, SUBJECT, refresh, reason="asked", actor="a test")


def test_refusal_of_postgres_is_one_line(database_url: str) -> None:
    with pytest.raises(PostgresQueryFailed, match="run the same command again"), alone(database_url) as connection:
        connection.execute("SELECT 1 / 0")
