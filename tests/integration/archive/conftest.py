"""A home folder with two ended days and today in it: loaded once and copied, or of one test's own Postgres."""

import shutil
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from tests.integration.archive.aging import Aged, age, copied
from tests.integration.archive.sealing import DAY, OTHER_DAY, Home, Rows, days_ago, fill
from tests.s3_server import S3Server


@pytest.fixture(scope="session")
def loaded(server_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Loaded, and nothing sealed; its Postgres is for many tests, so none may change it."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template_database}"')
        yield filled(Home(tmp_path_factory.mktemp("loaded") / "home", url))
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def home(loaded: Home, tmp_path: Path) -> Home:
    """A copy, for a test that changes nothing in Postgres."""
    shutil.copytree(loaded.folder, tmp_path / "home")
    return Home(tmp_path / "home", loaded.database_url)


@pytest.fixture
def s3_home(home: Home, s3: S3Server) -> Home:
    """One whose archive is in the bucket, under a prefix of this test's own."""
    return replace(home, archive_address=s3.address(f"tests/{uuid.uuid4().hex}"))


@pytest.fixture
def own_home(database_url: str, tmp_path: Path) -> Home:
    """One whose Postgres is this test's own."""
    return filled(Home(tmp_path / "home", database_url))


@pytest.fixture(scope="session")
def aged(server_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aged]:
    """Two sealed days that are old enough to leave Postgres, and two that are not: to copy from."""
    name = f"aged_{uuid.uuid4().hex[:12]}"
    url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template_database}"')
        home = Home(tmp_path_factory.mktemp("aged") / "home", url)
        age(home)
        yield Aged(home, name)
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def aged_home(aged: Aged, server_url: str, tmp_path: Path) -> Iterator[Home]:
    """A copy, with a Postgres of this test's own."""
    with copied(aged, server_url, tmp_path / "home") as home:
        yield home


def filled(home: Home) -> Home:
    with psycopg.connect(home.database_url, autocommit=True) as connection:
        for day in (OTHER_DAY, DAY, days_ago(0)):
            fill(connection, day)
    home.load_closed()
    return home


@pytest.fixture
def empty_migrated_url(server_url: str, template_database: str) -> Iterator[str]:
    """Another migrated Postgres database, without a row."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template_database}"')
        try:
            yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def sealed_once(loaded: Home, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, dict[str, Rows]]:
    """All ended days sealed, and what models read of it; for tests that copy it."""
    folder = tmp_path_factory.mktemp("sealed") / "home"
    shutil.copytree(loaded.folder, folder)
    home = Home(folder, loaded.database_url)
    home.seal()
    return home, home.sources()


@pytest.fixture
def sealed(sealed_once: tuple[Home, dict[str, Rows]], tmp_path: Path) -> Home:
    """A copy of it, for a test that changes nothing in Postgres."""
    home, _ = sealed_once
    shutil.copytree(home.folder, tmp_path / "home")
    return replace(home, folder=tmp_path / "home")


@pytest.fixture(scope="session")
def before_rewrite(sealed_once: tuple[Home, dict[str, Rows]]) -> dict[str, Rows]:
    """What models read of it."""
    return sealed_once[1]
