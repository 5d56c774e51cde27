"""A real Postgres for every test: the embedded one, or the server that DATABASE_URL names."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis
import psutil
import psycopg
import pytest
from sqlalchemy import make_url

from footfall.postgres import embedded_postgres
from ingest_app.database import make_engine
from ingest_app.migrate import migrate
from tests.s3_server import OWNER, S3Server, s3_server

# a machine that is busy with other tests is slow now and then: that breaks no rule
hypothesis.settings.register_profile("footfall", deadline=None)
hypothesis.settings.load_profile("footfall")

SHARED = Path(__file__).parents[2] / "shared"

# a thousand databases of eight hundred files each are made and dropped: a disk takes longer for that than tests do
MEMORY = Path("/dev/shm")
ROOM_BYTES = 8 * 1024**3

# the files that take minutes, then folders by how long theirs take: what begins last should be over soon
LONGEST_FIRST = (
    *("spark/test_cluster_kills.py", "spark/test_marts_on_spark.py", "spark"),
    *("system/test_dagster.py", "system/test_up.py", "system/test_no_raw_addresses.py", "system/test_admin_page.py"),
    *("integration/watch/test_playbook.py", "integration/test_restore.py", "sql/test_incremental.py"),
    *("integration/test_pipelines.py", "system", "sql", "integration/archive", "integration/people", "integration"),
    *("contract", "unit"),
)


def pytest_configure() -> None:
    """Keep what tests write in memory where there is plenty of it, unless TMPDIR names another place."""
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK):
        return
    # what is in use there already is no longer available as memory either
    if min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available) > ROOM_BYTES:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that no worker is left with one while the others have nothing to do."""
    items.sort(key=lambda item: _turn(item.nodeid.removeprefix("tests/")))


def _turn(path: str) -> int:
    return next((turn for turn, prefix in enumerate(LONGEST_FIRST) if path.startswith(prefix)), len(LONGEST_FIRST))


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A server on which databases can be created."""
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    # not a folder of pytest's, which it may tidy away while other test runs start beside this one
    with TemporaryDirectory(prefix="footfall-") as folder, embedded_postgres(Path(folder) / "postgres") as url:
        with psycopg.connect(url, autocommit=True) as connection:
            # a hundred databases are made and dropped; a killed server still loses nothing, only a killed machine would
            connection.execute("ALTER SYSTEM SET fsync = off")
            # its xids, taken at any moment in any database, may keep a day open that a test is about to seal
            connection.execute("ALTER SYSTEM SET autovacuum = off")
            # a template goes into the log with each copy
            connection.execute("ALTER SYSTEM SET max_wal_size = '256MB'")
            connection.execute("SELECT pg_reload_conf()")
        yield url


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A server with an empty bucket, whose owner this process is."""
    with (
        TemporaryDirectory(prefix="footfall-s3-") as folder,
        s3_server(Path(folder)) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in OWNER.items():
            patch.setenv(name, value)
        # no machine of Amazon's is asked for more
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield server


@pytest.fixture(scope="session")
def template_database(server_url: str) -> Iterator[str]:
    """The name of a migrated database, to copy from."""
    name = f"template_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        engine = make_engine(_named(server_url, name))
        with engine.connect() as migrating:
            migrate(migrating)
        engine.dispose()
        yield name
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def empty_database_url(server_url: str) -> Iterator[str]:
    """A database without any table, of this test alone."""
    with new_database(server_url, "template0") as url:
        yield url


@pytest.fixture
def database_url(server_url: str, template_database: str) -> Iterator[str]:
    """A migrated database of this test alone."""
    with new_database(server_url, template_database) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection to this test's migrated database, in autocommit."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def give_models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], None]:
    """Put the parsed models into a home folder in which nothing ran yet: they are parsed once, for all workers."""
    # not for who needs no models: dbt takes two seconds to import
    from pipelines.dbt_project import parse

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOOTFALL_HOME", str(folder))
        project = parse(folder / "dbt")

    def give(home: Path) -> None:
        shutil.copytree(project.folder, home / "dbt" / "parsed" / project.fingerprint)

    return give


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; the test skips where it is not at hand, as on a fresh machine."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("the real data of ../shared/data is not on this machine")
    return folder


@contextmanager
def new_database(server_url: str, template: str) -> Iterator[str]:
    """Yield a copy of the template's database, dropped at the end; for fixtures of another scope than a test's."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield _named(server_url, name)
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _named(server_url: str, name: str) -> str:
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)
