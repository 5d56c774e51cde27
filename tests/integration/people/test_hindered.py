"""What stands in the way of an erasure is told in a line with a way on, and there always is one."""

import duckdb
import pytest

from tests.integration.people.persons import Place
from tests.integration.people.test_erase import run_erase
from tests.integration.people.test_erase_kill import kill_after
from warehouse.archive.errors import WarehouseBehindArchive
from warehouse.errors import WarehouseOutdated


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
