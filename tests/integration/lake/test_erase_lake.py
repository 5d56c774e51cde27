"""A person leaves hot files as any other place: a file with the person is gone, and what others sent stays."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.conftest import new_database
from tests.integration.lake.killing import kill_after
from tests.integration.lake.lakes import LakeHome
from tests.integration.people.persons import GONE, STAYS, Place, settle
from tests.integration.people.removing import found_in, remove_person, state_of
from warehouse.connection import open_warehouse
from warehouse.lake.files import export_table
from warehouse.people.compact import compact

OF_PERSON = "SELECT count(*) FROM read_parquet('{path}', hive_partitioning = false) WHERE user_id = {user}"


@pytest.fixture
def place(server_url: str, template_database: str, tmp_path: Path) -> Iterator[LakeHome]:
    """Two persons in every store, the newest events of both in hot files."""
    with new_database(server_url, template_database) as url:
        home = LakeHome(tmp_path / "home", url)
        settle(Place(home))
        home.load()
        yield home


def counts(home: LakeHome, user: int) -> list[int]:
    """How many rows of a user each file of the lake has."""
    files = [path for path in (home.archive / "lake").rglob("*.parquet") if "activity_events" not in str(path)]
    with duckdb.connect() as connection:
        return [
            connection.execute(OF_PERSON.format(path=path, user=user)).fetchall()[0][0]
            for path in files
            if "user_id" in connection.sql(f"FROM '{path}' LIMIT 0").columns
        ]


def test_person_leaves_hot_files_and_others_stay(place: LakeHome) -> None:
    before, staying = place.named(), sum(counts(place, STAYS))
    assert sum(counts(place, GONE))
    erasure = remove_person(place)
    assert sum(counts(place, GONE)) == 0
    assert sum(counts(place, STAYS)) == staying
    assert place.stray() == set()
    with_person = {file.path for file in before} - {file.path for file in place.named()}
    assert {name.split("/")[2] for name in with_person} == {"activity_events", "tracking_documents", "tracking_events"}
    assert not [name for name in with_person if (place.archive / name).exists()]
    assert found_in(place, erasure) == []
    assert erasure.certificate["warehouse.duckdb"]["tracking_events"] > 0
    compact(place.warehouse_path)
    assert place.sources()["tracking_events"]


def test_erased_lake_is_as_an_erased_table(place: LakeHome, server_url: str, template_database: str) -> None:
    remove_person(place)
    after = state_of(place)
    place.load_tables(into_lake=False)
    assert state_of(place) == after
    place.load_tables(full=True)
    assert state_of(place)["sources.tracking_events"] == after["sources.tracking_events"]


@pytest.mark.parametrize(
    "steps", [["raw._remove"], ["raw.remove_hot_rows", "store.remove", "raw.remove_unnamed", "raw.remove_exported"]]
)
def test_removal_killed_before_old_files_are_gone_removes_them(place: LakeHome, steps: list[str]) -> None:
    with open_warehouse(place.warehouse_path) as warehouse:
        export_table(warehouse, place.store, "raw.users", "users")
    kill_after(place, "remove", steps)
    erasure = remove_person(place)
    assert sum(counts(place, GONE)) == 0
    assert place.stray() == set()
    assert not list((place.archive / "lake" / "tables").rglob("*.parquet"))
    assert found_in(place, erasure) == []


def test_search_finds_a_person_in_every_folder_of_the_lake(place: LakeHome) -> None:
    with open_warehouse(place.warehouse_path) as warehouse:
        exported = export_table(warehouse, place.store, "raw.user_points", "user_points")
    made = place.archive / "lake" / "models" / "intermediate.int_user_days" / "a-build" / "part-0.parquet"
    stray = place.hot / "tracking_events" / "received_date=2026-01-01" / "stray.parquet"
    for path in (made, stray):
        path.parent.mkdir(parents=True)
        path.write_bytes(Path(exported).read_bytes())
    erasure = remove_person(place)
    assert [(found.store, found.place, found.count) for found in found_in(place, erasure)] == [
        ("archive", made.relative_to(place.archive).as_posix(), 1)
    ]
