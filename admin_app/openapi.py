"""The read side's API described as OpenAPI 3.1 (`/openapi.json`), made of the types and the list of reports.

What a request may ask stands where it is answered; here is only how that is written down. Pages for people are not
described.
"""

from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec
from flask import Blueprint, Response

from admin_app import answer_types as types
from admin_app import controls, parameters
from admin_app.access import public
from admin_app.reports import REPORTS, Kind
from admin_app.stats import Stats

blueprint = Blueprint("openapi", __name__)

Json = dict[str, Any]
SCHEMAS = "#/components/schemas/"
REFUSALS = {
    "400": "The parameters or the body cannot be taken: the message names each of them",
    "401": "No key, an unknown one, or a revoked one",
    "403": "This key is not of scope admin",
    "404": "There is none of this name or id",
    "409": "It cannot be done as things are: `code` says why",
    "413": "The body is too long",
    "429": "Too many keys that do not work: try again after `Retry-After` seconds",
    "503": "What is needed is away, nothing was changed: try again after `Retry-After` seconds",
}
OF_EVERY_KEY = ("401", "403", "429", "503")
TEXTS = {
    "app": "Only this app, by its `app_name`",
    "country": "Only this country, by its `country_code`",
    "level": "Only documents of this level",
    "chapter": "Only documents of this chapter",
}
A_DAY = {"type": "string", "format": "date"}
A_TEXT = {"type": ["string", "null"]}
A_COUNT = {"type": "integer"}
A_PERCENTAGE = {"type": ["number", "null"]}
# of a key of days
NEVER_NULL = ("_date", "month")
COUNTS = ("_count", "_points", "_added", "_spent", "_id")


@blueprint.get("/openapi.json")
@public
def get_openapi() -> Response:
    """Answer the document."""
    return Response(_document(), mimetype="application/json")


@cache
def _document() -> bytes:
    return msgspec.json.encode(make_document())


def make_document() -> Json:
    """Describe every address of the API."""
    answers = (Stats, types.SettingsFound, types.SettingsChanged, types.KeysFound, types.KeyMade, types.Retried)
    listed = (types.RejectedFound, types.AuditFound, types.RetentionFound, types.Refused, types.Health)
    bodies = (controls.KeyWanted, controls.RetryWanted)
    _, schemas = msgspec.json.schema_components((*answers, *listed, *bodies), ref_template=SCHEMAS + "{name}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "footfall: the read side",
            "version": version("footfall"),
            "license": {"name": "Apache-2.0"},
        },
        "security": [{"bearer": []}, {"session": [], "csrf": []}],
        "paths": _paths() | {f"/api/reports/{name}": {"get": _report(name, kind)} for name, kind in REPORTS.items()},
        "components": {
            "schemas": schemas,
            "responses": dict(_refusals()),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A key of scope admin"},
                "session": {"type": "apiKey", "in": "cookie", "name": "footfall", "description": "Of the page"},
                "csrf": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-CSRFToken",
                    "description": "With a session, for what changes something",
                },
            },
        },
    }


def _paths() -> Json:
    page = [_number("limit", 1, controls.MOST_ROWS, controls.DEFAULT_LIMIT), _number("before", 1, controls.MOST_ID)]
    key_id = [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 0}}]
    values = {"type": "object", "additionalProperties": {"type": ["string", "integer"]}}
    kept = ("400", "413")
    return {
        "/api/stats": {"get": _operation("Read every aggregation of the first seed", Stats)},
        "/api/settings": {
            "get": _operation("List settings", types.SettingsFound),
            "put": _operation("Set all of these settings, or none", types.SettingsChanged, *kept, body=values),
        },
        "/api/keys": {
            "get": _operation("List keys", types.KeysFound),
            "post": _operation("Make a key", types.KeyMade, *kept, status="201", body=_ref(controls.KeyWanted)),
        },
        "/api/keys/{id}": {"delete": _operation("Revoke a key", None, "404", "409", status="204", asked=key_id)},
        "/api/rejected": {"get": _operation("List rejected records", types.RejectedFound, "400", asked=page)},
        "/api/rejected/retry": {
            "post": _operation("Retry rejected records", types.Retried, *kept, body=_ref(controls.RetryWanted))
        },
        "/api/audit": {"get": _operation("Read the audit log", types.AuditFound, "400", asked=page)},
        "/api/retention": {"get": _operation("Read what leaves by itself", types.RetentionFound)},
        "/healthz": {"get": _public("Tell that this worker is alive", _ref(types.Health))},
        "/openapi.json": {"get": _public("Read this document", {"type": "object"})},
    }


def _report(name: str, kind: Kind) -> Json:
    """Describe a report; its rows have the columns that are asked for by `by`, otherwise all."""
    row = {
        "type": "object",
        "properties": {column: _column(column) for column in kind.columns},
        "required": [kind.counted] if kind.dimensions else list(kind.columns),
        "additionalProperties": False,
    }
    found = {
        "report": {"const": name},
        "columns": {"type": "array", "items": {"enum": list(kind.columns)}},
        "rows": {"type": "array", "items": row},
        "total_row_count": {"type": "integer", "description": "Of all pages"},
        "next": {"type": ["string", "null"], "description": "The address of the next page"},
        "as_of": {"type": "string", "format": "date-time"},
        "stale": {"type": "boolean"},
    }
    schema = {"type": "object", "properties": found, "required": list(found), "additionalProperties": False}
    described = _operation(f"Read the report {name}", None, "400", asked=list(_asked(kind)))
    content = {"application/json": {"schema": schema}, "text/csv": {"schema": {"type": "string"}}}
    return described | {"responses": {"200": {"description": kind.title, "content": content}} | described["responses"]}


def _asked(kind: Kind) -> Iterable[Json]:
    for name in kind.parameters:
        if name in ("from", "to"):
            about = {"from": "The first day; of the last 30 if none is given", "to": "The last day, included"}[name]
            yield _parameter(name, about, A_DAY)
        elif name == "by":
            schema = {"type": "array", "items": {"enum": list(kind.dimensions)}, "uniqueItems": True}
            about = "The columns by which it is counted"
            yield _parameter(name, about, schema | {"default": list(kind.default_by)}) | {"explode": False}
        else:
            yield _parameter(name, TEXTS[name], {"type": "string", "maxLength": parameters.MOST_CHARACTERS})
    about = f"Of JSON {parameters.DEFAULT_LIMIT} unless told, of CSV all"
    yield _number("limit", 1, parameters.MOST_ROWS) | {"description": about}
    yield _number("offset", 0, parameters.MOST_OFFSET, 0)
    yield _parameter("format", "How the rows are written", {"enum": ["json", "csv"], "default": "json"})


def _column(name: str) -> Json:
    """Return the type of a report's column, which its name tells."""
    if name.endswith(NEVER_NULL):
        return A_DAY if name.endswith("_date") else {"type": "string"}
    if name.endswith("_percent"):
        return A_PERCENTAGE
    return A_COUNT if name.endswith(COUNTS) or name in ("points", "credits") else A_TEXT


def _operation(
    summary: str,
    answered: type | None,
    *refusals: str,
    status: str = "200",
    asked: list[Json] | None = None,
    body: Json | None = None,
) -> Json:
    responses = {code: {"$ref": f"#/components/responses/Refused{code}"} for code in (*refusals, *OF_EVERY_KEY)}
    if answered:
        responses[status] = _answer(answered.__doc__ or "", _ref(answered))
    elif status == "204":
        responses[status] = {"description": "Done"}
    described = {"summary": summary, "operationId": summary.lower().replace(" ", "-").replace(",", "")}
    sent = {"requestBody": {"required": True, "content": {"application/json": {"schema": body}}}} if body else {}
    return described | sent | ({"parameters": asked} if asked else {}) | {"responses": responses}


def _public(summary: str, schema: Json) -> Json:
    name = summary.lower().replace(" ", "-")
    return {"summary": summary, "operationId": name, "security": [], "responses": {"200": _answer(summary, schema)}}


def _answer(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _number(name: str, least: int, most: int, default: int | None = None) -> Json:
    schema = {"type": "integer", "minimum": least, "maximum": most}
    return _parameter(name, "", schema | ({} if default is None else {"default": default}))


def _parameter(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _ref(type_: type) -> Json:
    return {"$ref": SCHEMAS + type_.__name__}


def _refusals() -> Iterable[tuple[str, Json]]:
    seconds = {"description": "When to try again", "schema": {"type": "string", "pattern": "^[0-9]+$"}}
    for status, description in REFUSALS.items():
        headers = {"headers": {"Retry-After": seconds}} if "Retry-After" in description else {}
        yield f"Refused{status}", _answer(description, _ref(types.Refused)) | headers
