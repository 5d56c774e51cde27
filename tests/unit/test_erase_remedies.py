"""What is found after a removal is told with what to do about it, which is another thing for each kind of place."""

from warehouse.people.certificate import remedies
from warehouse.people.search import Found


def test_places_that_are_not_ours_are_named() -> None:
    [found] = remedies([Found("Postgres", "public.notes", 1)])
    assert "public.notes (Postgres) is not footfall's: remove the rows there" in found
    assert "mine.fav" in remedies([Found("warehouse.duckdb", "mine.fav", 1)])[0]
    assert "mine/x.parquet" in remedies([Found("archive", "mine/x.parquet", 1)])[0]


def test_rows_of_ours_came_in_since() -> None:
    places = [
        Found("Postgres", "public.tracking_events", 1),
        Found("Postgres", "public.tracking_events_p20260101", 1),
        Found("warehouse.duckdb", "raw.users", 1),
        Found("analytics.duckdb", "marts.dim_users", 1),
        Found("archive", "only-here/users-20200101T000000.parquet", 1),
        Found("archive", "tracking_events/received_date=2026-01-01/part-0.parquet", 1),
    ]
    [told] = remedies(places)
    assert told.startswith("what came in since the removal began")


def test_live_spool_is_never_to_be_removed() -> None:
    damaged, live = remedies([Found("spool", "a.damaged", 1), Found("spool", "a.spool", 1)])
    assert "see what it holds, then remove it" in damaged
    assert "the drainer takes it" in live
    assert "remove" not in live
