"""Brings a database's schema up to date, and tells where it stands. The revisions are in `migrations/`."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from ingest_app.errors import MigrationFailed, SchemaNotMigrated, SchemaTooNew

PARTITION_DAYS_AHEAD = 14


def migrate(connection: Connection) -> tuple[str | None, str]:
    """Run what is missing, in one transaction, and make the event partitions ahead.

    Two processes that migrate at once wait for each other. Returns the revision before (None: an empty
    database) and after. Raises SchemaTooNew, MigrationFailed.
    """
    try:
        return _migrate(connection)
    except DBAPIError as error:
        raise MigrationFailed(str(error.orig).partition("\n")[0]) from error


def _migrate(connection: Connection) -> tuple[str | None, str]:
    with connection.begin():
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('footfall migrate'))"))
        before, newest = _revisions(connection)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        make_partitions(connection)
    return before, newest


def make_partitions(connection: Connection) -> None:
    """Make the event partitions that are missing, from today to PARTITION_DAYS_AHEAD."""
    connection.execute(text("SELECT make_event_partitions(:days)"), {"days": PARTITION_DAYS_AHEAD})


def require_current(connection: Connection) -> None:
    """Raise SchemaNotMigrated or SchemaTooNew unless the database has the schema that this code was written for."""
    found, newest = _revisions(connection)
    if found != newest:
        raise SchemaNotMigrated(found or "none", newest)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "ingest_app:migrations")
    return config


def _revisions(connection: Connection) -> tuple[str | None, str]:
    """Return the database's revision and the newest known. Raises SchemaTooNew where the database's is unknown."""
    scripts = ScriptDirectory.from_config(_config())
    found = MigrationContext.configure(connection).get_current_revision()
    newest = scripts.get_current_head() or ""
    if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
        raise SchemaTooNew(found, newest)
    return found, newest
