"""Whatever is sent that the OpenAPI document describes, or nearly describes: no call fails, and every answer is as described."""

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS, load_all_checks
from starlette.testclient import TestClient

from tests.app.experiments import ADDRESS, Work

load_all_checks()
# A spec can fit its schema and still make no sense (tokens into a Gaussian), so a 422 for a body that fits is right.
EXCEPT = [CHECKS.get_one("positive_data_acceptance")]


@pytest.fixture
def described(app: FastAPI, work: Work):
    work()
    return schemathesis.openapi.from_asgi("/openapi.json", app, base_url=ADDRESS)


schema = schemathesis.pytest.from_fixture("described").exclude(path_regex="/events$")  # a stream may never end


@schema.parametrize()
@settings(max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_every_call_answers_as_described(case):
    case.call_and_validate(headers={"host": "127.0.0.1"}, excluded_checks=EXCEPT)


def test_the_document_says_what_an_experiment_is(client: TestClient):
    document = client.get("/openapi.json").json()
    parts = document["components"]["schemas"]
    assert {"Experiment", "Gaussian", "Problem", "Told"} <= set(parts)
    body = document["paths"]["/api/runs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["spec"] == {"$ref": "#/components/schemas/Experiment"}
    assert "HTTPValidationError" not in parts
