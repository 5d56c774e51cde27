"""Workers let go of their open spools when they are asked, so that drained records do not stay in them for an hour."""

import threading
from contextlib import closing
from pathlib import Path

from footfall.erasing import empty_spools
from ingest_app.database import make_engine
from ingest_app.spool import Spool
from ingest_app.spool.files import ask_to_let_go, spools_in
from ingest_app.spool.search import search_spools
from tests.integration.spools import a_part, an_event


def look_now_and_then(spool: Spool, stop: threading.Event) -> None:
    while not stop.wait(0.02):
        spool.retire_old_file()


def test_worker_keeps_its_file_until_asked(tmp_path: Path) -> None:
    with closing(Spool(tmp_path, 0)) as spool:
        spool.append(a_part(an_event()))
        spool.retire_old_file()
        spool.append(a_part(an_event()))
        assert len(spools_in(tmp_path)) == 1
        ask_to_let_go(tmp_path)
        spool.retire_old_file()
        spool.append(a_part(an_event()))
        spool.retire_old_file()
        spool.append(a_part(an_event()))
        assert len(spools_in(tmp_path)) == 2


def test_drained_records_are_gone_with_their_file(database_url: str, tmp_path: Path) -> None:
    stop = threading.Event()
    with closing(Spool(tmp_path, 0)) as spool:
        spool.append(a_part(an_event(user_id=42)))
        found = search_spools(tmp_path, lambda _, row: row.get("user_id") == 42)
        assert [record.kind for record in found] == ["events"]
        worker = threading.Thread(target=look_now_and_then, args=(spool, stop))
        worker.start()
        engine = make_engine(database_url)
        left = empty_spools(engine, tmp_path)
        stop.set()
        worker.join()
        engine.dispose()
    assert left == []
    assert spools_in(tmp_path) == []
