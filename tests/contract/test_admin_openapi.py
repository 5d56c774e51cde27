"""The read side's OpenAPI document and its app agree: every route of the API is in it, and nothing else."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from admin_app.app import create_app
from admin_app.reports import REPORTS
from admin_app.settings import AdminSettings

# Flask answers these by itself
UNSTATED = {"HEAD", "OPTIONS"}
PUBLIC = {"/healthz", "/openapi.json"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    home = tmp_path_factory.mktemp("home")
    app = create_app(
        AdminSettings(database_url="postgresql://127.0.0.1:1/none", footfall_secret="x", footfall_home=home)
    )
    yield app
    app.extensions["footfall"].close()


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    response = app.test_client().get("/openapi.json")
    assert (response.status_code, response.mimetype) == (200, "application/json")
    found: dict[str, Any] = json.loads(response.data)
    return found


def test_document_is_valid_openapi(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()


def test_document_and_routes_name_the_same(app: Flask, document: dict[str, Any]) -> None:
    routes = {
        (path, method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/") or rule.rule in PUBLIC
        for path in _paths(rule.rule.replace("<int:key_id>", "{id}"))
        for method in (rule.methods or set()) - UNSTATED
    }
    described = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert len(routes) > 20
    assert described == routes


def test_all_but_two_addresses_need_a_key(app: Flask, document: dict[str, Any]) -> None:
    open_to_all = {path for path, methods in document["paths"].items() if "security" in next(iter(methods.values()))}
    assert open_to_all == PUBLIC
    client = app.test_client()
    asked = {
        path: client.open(path.replace("{id}", "1"), method=method).status_code
        for path, methods in document["paths"].items()
        for method in methods
    }
    assert {path for path, status in asked.items() if status == 200} == PUBLIC
    assert {status for path, status in asked.items() if path not in PUBLIC} == {401}


@pytest.mark.parametrize("name", sorted(REPORTS))
def test_report_is_described_with_its_parameters(document: dict[str, Any], name: str) -> None:
    described = {parameter["name"] for parameter in document["paths"][f"/api/reports/{name}"]["get"]["parameters"]}
    assert described == {*REPORTS[name].parameters, "limit", "offset", "format"}


def _paths(rule: str) -> list[str]:
    return [f"/api/reports/{name}" for name in REPORTS] if rule == "/api/reports/<name>" else [rule]
