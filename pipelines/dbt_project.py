"""The dbt project as this room uses it: parsed once per change of its files, built in process.

dbt's own command takes 8 to 12 s, most of it start-up and parsing; in process with a parsed project a build
that has nothing new takes a second or two. No Dagster here, and no SQL: that is `transforms/`.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.artifacts.schemas.run import RunExecutionResult
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import ModelNode
from dbt.parser.manifest import extended_mashumuro_decoder
from dbt.version import __version__ as dbt_version

from pipelines.errors import BuildFailed, ModelsUnreadable
from pipelines.lineage import Lineage, column_lineage

TRANSFORMS = Path(__file__).parents[1] / "transforms"
# no log file: dbt leaves it open in this process, and what matters is in the results
QUIET = ("--log-level", "none", "--log-level-file", "none", "--no-send-anonymous-usage-stats")


# the macro that gives a model the time
AS_OF = "macro.footfall.as_of"
FailedRow = Mapping[str, str]
LINEAGE = "lineage.json"
# the target of `transforms/profiles.yml` for which nothing else is installed
DUCKDB = "duckdb"
# longer than any run lasts
KEEP_UNUSED_SECONDS = 24 * 60 * 60


@dataclass(frozen=True)
class NodeResult:
    """What became of one model or test. `failure_count`: rows that a test found, else None.

    `row_count`: rows of a table, where it is not in the warehouse for all to count.

    `compiled_sql` finds these rows; the first of them, by column and as text, are put into `failed_rows` by who may
    open the warehouse (`pipelines.failed_rows`).
    """

    unique_id: str
    name: str
    kind: str
    schema_name: str
    status: str
    message: str
    failure_count: int | None
    duration_seconds: float
    compiled_sql: str = ""
    row_count: int | None = None
    failed_rows: Sequence[FailedRow] = ()

    @property
    def is_done(self) -> bool:
        """Whether the model was built, the test found nothing."""
        return self.status in {"success", "pass"}

    @property
    def is_skipped(self) -> bool:
        """Whether it was not tried, because something before it failed."""
        return self.status == "skipped"

    @property
    def is_failed(self) -> bool:
        """Whether it stops the publishing: a model with an error, a test of severity error that found rows."""
        return not (self.is_done or self.is_skipped or self.status == "warn")


@dataclass(frozen=True)
class ParsedProject:
    """The project in `transforms` as dbt parsed it.

    `folder` holds manifest.json, dbt's own binary form of it, and of which columns each column is made.
    """

    folder: Path
    transforms: Path
    target: str

    @property
    def fingerprint(self) -> str:
        """The hash of the project's files, of dbt's version and of DuckDB's: the parsed project is kept under it.

        DuckDB's, for its rules of time zones say on which day an event was. Another target than DuckDB is named in it.
        """
        return self.folder.name

    def manifest(self) -> Mapping[str, Any]:
        """Return dbt's manifest (schema v12) as plain data."""
        manifest: Mapping[str, Any] = json.loads((self.folder / "manifest.json").read_bytes())
        return manifest

    def lineage(self) -> Lineage:
        """Return of which columns the models' columns are made."""
        lineage: Lineage = json.loads((self.folder / LINEAGE).read_bytes())
        return lineage

    def relations(self) -> list[str]:
        """Return the tables and views `schema.name` that the models make."""
        nodes = self.manifest()["nodes"].values()
        return [f"{node['schema']}.{node['alias']}" for node in nodes if node["resource_type"] == "model"]

    def for_dbt(self) -> Manifest:
        """Return the manifest as dbt wants it, so that it need not parse again."""
        packed = (self.folder / "partial_parse.msgpack").read_bytes()
        manifest = Manifest.from_msgpack(packed, decoder=extended_mashumuro_decoder)
        # what macros know as `graph`; dbt packs the manifest without it, and makes it only where it parses
        manifest.build_flat_graph()  # type: ignore[no-untyped-call]
        return manifest


def parse(dbt_folder: Path, transforms: Path = TRANSFORMS, target: str = DUCKDB) -> ParsedProject:
    """Return the project as parsed for a target of its profile; it parses only where its files or dbt changed.

    Several processes may ask at once (web server, daemon, runs): one parses, the others wait. The result is kept
    under the hash of the files, so that a run never sees half of it. Raises ModelsUnreadable.
    """
    name = _fingerprint(transforms) if target == DUCKDB else f"{_fingerprint(transforms)}-{target}"
    project = ParsedProject(dbt_folder / "parsed" / name, transforms, target)
    with _alone(dbt_folder / "parsed.lock"):
        # an older footfall kept less
        if not (project.folder / LINEAGE).is_file():
            _parse_into(project, dbt_folder)
        os.utime(project.folder)  # in use: `_parse_into` removes what was not for long
    return project


def build(
    project: ParsedProject,
    dbt_folder: Path,
    touched: Sequence[str] | None = None,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> list[NodeResult]:
    """Build models and run their data tests, in order; what depends on a failed one is skipped.

    All of them from the start, or what comes of the `touched` tables and what the time of day changes. `variables` are
    dbt's, beside those of the project. The caller holds the writer's lock of the warehouse. Unit tests are for those
    who change models, not for each refresh. Returns one result a node that was to be done, failed ones included.
    Raises BuildFailed where dbt could not start at all.
    """
    manifest = project.for_dbt()
    which = ["--full-refresh"] if touched is None else ["--select", *_fed_by(touched), *_of_now(manifest)]
    if which == ["--select"]:
        return []
    arguments = ["build", "--exclude-resource-type", "unit_test", *which, "--vars", json.dumps(dict(variables))]
    outcome = _invoke(arguments, dbt_folder, dbt_folder / "target", project, manifest)
    if not isinstance(outcome.result, RunExecutionResult):
        raise BuildFailed(without_heading(str(outcome.exception)))
    return [
        NodeResult(
            unique_id=result.node.unique_id,
            name=result.node.name,
            kind=str(result.node.resource_type),
            schema_name=result.node.schema,
            status=str(result.status),
            message=without_heading(result.message or ""),
            failure_count=result.failures,
            duration_seconds=round(result.execution_time, 3),
            compiled_sql=getattr(result.node, "compiled_code", None) or "",
        )
        for result in outcome.result.results
    ]


def _fed_by(tables: Sequence[str]) -> Iterator[str]:
    """Select, in dbt's words, all that comes of these raw tables."""
    return (f"source:raw.{table}+" for table in tables)


def _of_now(manifest: Manifest) -> Iterator[str]:
    """Select what asks for the time, and all that comes of it."""
    return (f"{node.name}+" for node in manifest.nodes.values() if AS_OF in node.depends_on.macros)


def build_empty(project: ParsedProject, dbt_folder: Path) -> None:
    """Make every table and view on sources without a row, untested, so that there is something to describe.

    Raises BuildFailed.
    """
    _require(_invoke(["run"], dbt_folder, dbt_folder / "target", project, project.for_dbt()))


def build_views(project: ParsedProject, dbt_folder: Path, variables: Mapping[str, str]) -> None:
    """Make all views, untested: on an engine that knows of them no longer than a session, also those with nothing new.

    Raises BuildFailed.
    """
    arguments = ["run", "--select", "config.materialized:view", "--vars", json.dumps(dict(variables))]
    _require(_invoke(arguments, dbt_folder, dbt_folder / "target", project, project.for_dbt()))


def make_site(project: ParsedProject, dbt_folder: Path) -> Path:
    """Return dbt's documentation of the models that were built last: one HTML file, with lineage and SQL in it.

    Raises BuildFailed.
    """
    # building left the compiled SQL where this looks for it: no need to compile again
    arguments = ["docs", "generate", "--static", "--no-compile"]
    _require(_invoke(arguments, dbt_folder, dbt_folder / "target", project, project.for_dbt()))
    return dbt_folder / "target" / "static_index.html"


def without_heading(message: str) -> str:
    """Return dbt's message without the heading that repeats the node, on one line."""
    lines = [line.strip() for line in message.strip().splitlines()]
    if len(lines) > 1 and " in model " in f" {lines[0]} ":
        lines = lines[1:]
    return " ".join(line for line in lines if line and not line.startswith("compiled code at"))


def _fingerprint(transforms: Path) -> str:
    digest = hashlib.sha256(f"{dbt_version} {duckdb.__version__}".encode())
    for path in sorted(_sources(transforms)):
        digest.update(str(path.relative_to(transforms)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _sources(transforms: Path) -> Iterator[Path]:
    made_by_dbt = {"target", "logs"}
    for path in transforms.rglob("*"):
        if path.is_file() and path.relative_to(transforms).parts[0] not in made_by_dbt:
            yield path


def _parse_into(project: ParsedProject, dbt_folder: Path) -> None:
    folder, parsed = project.folder, replace(project, folder=project.folder.with_name(".parsing"))
    scratch = parsed.folder
    shutil.rmtree(scratch, ignore_errors=True)
    outcome = _invoke(["parse"], dbt_folder, scratch, project)
    if not outcome.success:
        raise ModelsUnreadable(project.transforms, without_heading(str(outcome.exception)))
    # columns come from where they come from, whoever computes them
    lineage = column_lineage(parsed.manifest(), _compile(parsed, dbt_folder)) if project.target == DUCKDB else {}
    (scratch / LINEAGE).write_text(json.dumps(lineage))
    shutil.rmtree(folder, ignore_errors=True)
    scratch.rename(folder)
    for other in folder.parent.iterdir():
        # a run of before the change may still read its own
        if other.stat().st_mtime < time.time() - KEEP_UNUSED_SECONDS:
            shutil.rmtree(other)


def _compile(project: ParsedProject, dbt_folder: Path) -> dict[str, str]:
    """Return the models' SQL by unique id, made without the warehouse, which somebody may be writing just now.

    A model that asks the database for more than the time has none here.
    """
    profile = {"type": "duckdb", "path": ":memory:", "threads": 1}
    arguments = ["compile", "--full-refresh", "--select", "resource_type:model", "--indirect-selection", "empty"]
    with tempfile.TemporaryDirectory(prefix="footfall-compile-") as scratch:
        # JSON is YAML too
        profiles = {"footfall": {"target": "duckdb", "outputs": {"duckdb": profile}}}
        (Path(scratch) / "profiles.yml").write_text(json.dumps(profiles))
        outcome = _invoke(arguments, dbt_folder, Path(scratch), project, project.for_dbt(), Path(scratch))
    runs = outcome.result.results if isinstance(outcome.result, RunExecutionResult) else ()
    return {run.node.unique_id: run.node.compiled_code or "" for run in runs if isinstance(run.node, ModelNode)}


def _invoke(
    arguments: Sequence[str],
    dbt_folder: Path,
    written: Path,
    project: ParsedProject,
    manifest: Manifest | None = None,
    profiles: Path | None = None,
) -> dbtRunnerResult:
    given = {
        "--project-dir": project.transforms,
        "--profiles-dir": profiles or project.transforms,
        "--target-path": written,
        "--log-path": dbt_folder / "logs",
        "--target": project.target,
    }
    options = [str(part) for option in given.items() for part in option]
    try:
        return dbtRunner(manifest=manifest).invoke([*QUIET, *arguments, *options])
    finally:
        # dbt keeps its DuckDB file open in this process, which would lock out the next writer
        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]


def _require(outcome: dbtRunnerResult) -> None:
    """Raise BuildFailed with the first reason there is."""
    if outcome.success:
        return
    runs = outcome.result.results if isinstance(outcome.result, RunExecutionResult) else ()
    reasons = [f"{run.node.name}: {run.message}" for run in runs if run.status == "error"]
    raise BuildFailed(without_heading(reasons[0] if reasons else str(outcome.exception)))


@contextmanager
def _alone(lock_path: Path) -> Iterator[None]:
    lock_path.parent.mkdir(parents=True, exist_ok=True)
    with lock_path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
