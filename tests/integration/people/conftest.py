"""A home with two persons in every store: settled once, and copied, its Postgres too, for each test that changes it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import make_url

from footfall.settings import Settings
from tests.conftest import new_database
from tests.integration.archive.sealing import Home
from tests.integration.people.persons import Place, settle

Copy = Callable[[Path], Place]


@pytest.fixture(scope="package")
def settled(server_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """For copying; no test may change it."""
    with new_database(server_url, template_database) as url:
        place = Place(Home(tmp_path_factory.mktemp("settled") / "home", url))
        settle(place)
        yield place


@pytest.fixture(scope="module")
def copy(settled: Place, server_url: str) -> Iterator[Copy]:
    """Copy it. Its warehouse was loaded from another database than the copy: it can be erased from, and not loaded."""
    with ExitStack() as made:

        def copied(folder: Path) -> Place:
            shutil.copytree(settled.home.folder, folder)
            template = str(make_url(settled.home.database_url).database)
            return Place(Home(folder, made.enter_context(new_database(server_url, template))))

        yield copied


@pytest.fixture
def place(copy: Copy, tmp_path: Path) -> Place:
    return copy(tmp_path / "home")


@pytest.fixture(scope="module")
def own_place(server_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One that is loaded from its own Postgres, for the tests of one module."""
    with new_database(server_url, template_database) as url:
        place = Place(Home(tmp_path_factory.mktemp("own") / "home", url))
        settle(place)
        yield place


def settings_of(place: Place) -> Settings:
    return Settings(FOOTFALL_HOME=place.home.folder, DATABASE_URL=place.home.database_url)
