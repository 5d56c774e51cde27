"""Where each asset is defined: the file and the line that the UI names. Nothing is imported for it, only read.

The rooms lie side by side in a checkout and in an installed wheel alike.
"""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import dagster as dg

CODE_REFERENCES = "dagster/code_references"
ROOMS = Path(__file__).parents[1]
_POSTGRES_TABLE = re.compile(r"^\w+ = Table\(\s*\"(\w+)\"", re.MULTILINE)
_RAW_TABLE = re.compile(r"^CREATE TABLE IF NOT EXISTS raw\.(\w+)", re.MULTILINE)


def postgres_definitions() -> dict[str, dict[str, Any]]:
    """Return metadata for each table of Postgres, by name: where the write side declares it."""
    files = sorted((ROOMS / "ingest_app" / "schema").glob("*.py"))
    return {name: defined_in(path, line) for path in files for name, line in _lines(path, _POSTGRES_TABLE)}


def raw_definitions() -> dict[str, dict[str, Any]]:
    """Return metadata for each raw table, by name: where the warehouse declares it."""
    path = ROOMS / "warehouse" / "sql" / "raw.sql"
    return {name: defined_in(path, line) for name, line in _lines(path, _RAW_TABLE)}


def model_definition(transforms: Path, node: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata for a node of dbt's manifest: its SQL."""
    return defined_in((transforms / node["original_file_path"]).resolve(), 1)


def defined_in(path: Path, line: int) -> dict[str, Any]:
    """Return the metadata by which the UI links to a line of a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        reference = dg.LocalFileCodeReference(file_path=str(path), line_number=line)
        return {CODE_REFERENCES: dg.CodeReferencesMetadataValue(code_references=[reference])}


def function_definition(asset: dg.AssetsDefinition) -> dict[str, Any]:
    """Return metadata for an asset that a function makes: the function."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        [linked] = cast("Sequence[dg.AssetsDefinition]", dg.with_source_code_references([asset]))
    metadata = next(iter(linked.specs)).metadata
    return {CODE_REFERENCES: metadata[CODE_REFERENCES]}


def _lines(path: Path, declaration: re.Pattern[str]) -> Iterator[tuple[str, int]]:
    text = path.read_text()
    for found in declaration.finditer(text):
        yield found[1], text.count("\n", 0, found.start()) + 1
