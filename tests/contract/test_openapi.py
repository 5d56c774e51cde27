"""The OpenAPI document and the app agree: every route is in it, and nothing else; its schemas are the record types."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from ingest_app.app import create_app
from ingest_app.decode import MAX_ITEMS
from ingest_app.kinds import KINDS, Kind
from ingest_app.settings import IngestSettings

# Flask answers these by itself, a preflight for every address
UNSTATED = {"HEAD", "OPTIONS"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    home = tmp_path_factory.mktemp("home")
    app = create_app(
        IngestSettings(database_url="postgresql://127.0.0.1:1/none", footfall_secret="x", footfall_home=home)
    )
    yield app
    app.extensions["footfall"].close()


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    response = app.test_client().get("/openapi.json")
    assert response.mimetype == "application/json"
    found: dict[str, Any] = json.loads(response.data)
    return found


def test_document_is_valid_openapi(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()


def test_document_and_routes_name_the_same(app: Flask, document: dict[str, Any]) -> None:
    routes = {
        (rule.rule.replace("<key>", "{id}").replace("<user_id>", "{user_id}"), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - UNSTATED
    }
    described = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert len(routes) > 15
    assert described == routes


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_body_is_one_record_or_a_batch(document: dict[str, Any], kind: Kind) -> None:
    ((method, operation),) = document["paths"][f"/api/{kind.name}"].items()
    one, many = operation["requestBody"]["content"]["application/json"]["schema"]["anyOf"]
    assert method in {"post", "put"}
    assert one == many["items"] == {"$ref": f"#/components/schemas/{kind.record.__name__}"}
    assert (many["minItems"], many["maxItems"]) == (1, MAX_ITEMS)
    fields = document["components"]["schemas"][kind.record.__name__]["properties"]
    assert set(fields) == set(kind.record.__struct_encode_fields__)


def test_beacons_may_send_plain_text(document: dict[str, Any]) -> None:
    posts = [path["post"] for path in document["paths"].values() if "post" in path]
    assert posts
    assert all("text/plain" in post["requestBody"]["content"] for post in posts)


def test_what_takes_records_asks_for_a_key(document: dict[str, Any]) -> None:
    operations = [(path, operation) for path, methods in document["paths"].items() for operation in methods.values()]
    assert {path for path, operation in operations if not operation["security"]} == {
        path for path, _ in operations if not path.startswith("/api/")
    }
