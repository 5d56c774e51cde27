"""The write side described as OpenAPI 3.1 (`/openapi.json`), made of the very types that decode the records.

What is valid stands in `records.py`; here is only how the routes, their bodies and their answers are written down. The
types of the answers are stated here once more and closed, so that an answer that says something else fails a test.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from uuid import UUID

import msgspec
from flask import Flask, Response
from msgspec import UNSET, Struct, UnsetType, inspect

from ingest_app.decode import MAX_ITEMS
from ingest_app.kinds import KINDS

Json = dict[str, Any]
SCHEMAS = "#/components/schemas/"
PACKED = "At most 1 MiB; may be packed, with `Content-Encoding: gzip`. A text may hold no NUL character."


class Verdict(Struct, forbid_unknown_fields=True):
    """What is wrong with one item of a batch."""

    index: int
    field: str | None
    error: str


class Accepted(Struct, forbid_unknown_fields=True):
    """`accepted` records are kept; those in `errors` are not, nor any where there is a `reason`."""

    accepted: int
    dropped: int
    event_ids: list[UUID]
    errors: list[Verdict]
    reason: str | UnsetType = UNSET


class Fault(Struct, forbid_unknown_fields=True):
    """What went wrong: `field` names the place in a record; `id` finds an unforeseen error in the log.

    `missing` says by how much a balance is too low.
    """

    code: str
    message: str
    field: str | None
    id: str | UnsetType = UNSET
    missing: int | UnsetType = UNSET


class Refused(Struct, forbid_unknown_fields=True):
    """Nothing was kept. Where every record of a body was at fault, `errors` has a verdict for each."""

    error: Fault
    errors: list[Verdict] | UnsetType = UNSET


REFUSALS = {
    "400": "The body or the path cannot be read, or no record of it is valid: mend it",
    "401": "No key, an unknown one, or a revoked one",
    "403": "This key may not do this, or not from this page",
    "404": "There is no row of this id",
    "409": "Nothing moved: there is too little, or too much, or it was done before, as `code` says",
    "413": "More than 1,000 records or 1 MiB: send less at a time",
    "415": "A media type, a charset or an encoding that is not read",
    "429": "More requests than this key may send: send it again after `Retry-After` seconds",
    "503": "Not kept (a move of points or credits: perhaps, its key tells): send it again after `Retry-After` seconds",
}
# what is read without a key: path -> what it is, its media type
PUBLIC = {
    "/healthz": ("This worker is alive", "application/json"),
    "/readyz": ("This worker can accept records", "application/json"),
    "/metrics": ("What was counted, as Prometheus reads it", "text/plain"),
    "/openapi.json": ("This document", "application/json"),
    "/tracker.js": ("The script for web pages", "text/javascript"),
}


@dataclass(frozen=True, slots=True)
class Others:
    """Addresses that are described elsewhere, with the types that they name."""

    paths: Mapping[str, Json]
    types: Sequence[type[Struct]]


def add_route(app: Flask, tracked: Iterable[str], stated: Iterable[str], others: Others) -> None:
    """Add `/openapi.json`; the document is made here, not at each request."""
    document = msgspec.json.encode(make_document(tuple(tracked), tuple(stated), others))
    app.add_url_rule("/openapi.json", "openapi", lambda: Response(document, mimetype="application/json"))


def make_document(tracked: Sequence[str], stated: Sequence[str], others: Others) -> Json:
    """Describe the kinds that are posted, those that are put and deleted, others, and what is read without a key."""
    types = [KINDS[name].record for name in (*tracked, *stated)]
    _, schemas = msgspec.json.schema_components(
        (*types, *others.types, Accepted, Refused), ref_template=SCHEMAS + "{name}"
    )
    public = {path: {"get": _get(path, *about)} for path, about in PUBLIC.items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "footfall: the write side",
            "version": version("footfall"),
            "license": {"name": "Apache-2.0"},
        },
        "paths": dict(_kind_paths(tracked, stated)) | dict(others.paths) | public,
        "components": {
            "schemas": schemas,
            "responses": {"Accepted": answer("Kept, on disk", "Accepted")} | dict(_refusals()),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "address": {"type": "apiKey", "in": "query", "name": "key", "description": "For beacons"},
            },
        },
    }


def body(schema: Json, media_types: Sequence[str] = ("application/json", "text/plain")) -> Json:
    """Describe a body, which text/plain holds as JSON, too."""
    as_text = {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}
    content = {media: {"schema": as_text if media == "text/plain" else schema} for media in media_types}
    return {"required": True, "description": PACKED, "content": content}


def answer(description: str, schema: str) -> Json:
    """Describe an answer of one type."""
    return {"description": description, "content": {"application/json": {"schema": {"$ref": SCHEMAS + schema}}}}


def refused_by(*statuses: str) -> Json:
    """Name the refusals that an address knows."""
    return {status: _response(f"Refused{status}") for status in statuses}


def security() -> list[Json]:
    """Say how a key is shown."""
    return [{"bearer": []}, {"address": []}]


def _kind_paths(tracked: Sequence[str], stated: Sequence[str]) -> Iterable[tuple[str, Json]]:
    for name in tracked:
        yield f"/api/{name}", {"post": _send(name, f"Post {name}", ("application/json", "text/plain"))}
    for name in stated:
        yield f"/api/{name}", {"put": _send(name, f"Insert or update {name} by id", ("application/json",))}
        yield f"/api/{name}/{{id}}", {"delete": _delete(name)}


def _send(name: str, summary: str, media_types: Sequence[str]) -> Json:
    record = KINDS[name].record
    one = {"$ref": SCHEMAS + record.__name__}
    schema = {"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": MAX_ITEMS}]}
    return {
        "summary": summary,
        "description": record.__doc__,
        "operationId": summary.replace("/", " ").replace(" ", "-").lower(),
        "security": security(),
        "requestBody": body(schema, media_types),
        "responses": {"202": _response("Accepted")} | refused_by("400", "401", "403", "413", "415", "429", "503"),
    }


def _delete(name: str) -> Json:
    fields = inspect.type_info(KINDS[name].record).fields  # type: ignore[attr-defined]
    id_type = next(field.type for field in fields if field.name == "id")
    schema = {"type": "integer", "minimum": 0} if isinstance(id_type, inspect.IntType) else _UUID
    return {
        "summary": f"Delete one of {name}",
        "operationId": f"delete-{name}",
        "security": security(),
        "parameters": [{"name": "id", "in": "path", "required": True, "schema": schema}],
        "responses": {"204": {"description": "Deleted"}} | refused_by("400", "401", "403", "404", "429", "503"),
    }


def _get(path: str, summary: str, media: str) -> Json:
    schema = {"type": "string"} if media.startswith("text/") else {"type": "object"}
    found: Json = {"200": {"description": summary, "content": {media: {"schema": schema}}}}
    if path == "/readyz":
        found["503"] = {"description": "It cannot, and says why", "content": {media: {"schema": schema}}}
    return {"summary": summary, "operationId": path.strip("/"), "security": [], "responses": found}


def _refusals() -> Iterable[tuple[str, Json]]:
    seconds = {"description": "When to send it again", "schema": {"type": "string", "pattern": "^[0-9]+$"}}
    for status, description in REFUSALS.items():
        headers = {"headers": {"Retry-After": seconds}} if "Retry-After" in description else {}
        yield f"Refused{status}", answer(description, "Refused") | headers


def _response(name: str) -> Json:
    return {"$ref": f"#/components/responses/{name}"}


_UUID = {"type": "string", "format": "uuid"}
