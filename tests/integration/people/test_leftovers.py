"""What killed processes left in the home folder may hold anybody: it goes with a person, or no certificate is given."""

from tests.integration.people.persons import Place
from tests.integration.people.removing import found_in, remove_person

LEFT = [
    "warehouse/restored.duckdb.new",
    "warehouse/warehouse.duckdb.new.wal",
    "warehouse/warehouse.duckdb.tmp/duckdb_temp_storage_DEFAULT-0.tmp",
    "archive-staging/downloads/tmp0badcafe/part-0.parquet",
    "archive-staging/tracking_events/received_date=2026-01-01/part-0.parquet",
]


def leave(place: Place, *names: str) -> None:
    for name in names:
        path = place.home.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("rows")


def test_leftovers_go_with_a_person_or_are_found(place: Place) -> None:
    log = "warehouse/restored.duckdb.wal"
    leave(place, *LEFT, "warehouse/restored.duckdb", log)
    erasure = remove_person(place.home)
    assert [name for name in [*LEFT, log] if (place.home.folder / name).exists()] == []
    assert erasure.certificate["unfinished files"] == {"files removed, which were not read": len(LEFT)}
    assert found_in(place.home, erasure) == []
    leave(place, LEFT[0])
    assert [str(one) for one in found_in(place.home, erasure)] == [
        f"unfinished files: {LEFT[0]}, which nobody can search"
    ]
