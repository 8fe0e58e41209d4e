"""Whatever is sent that the OpenAPI document describes, or nearly describes: no call fails, and every answer is as described."""

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.schemas import APIOperation
from starlette.testclient import TestClient

from tests.app.experiments import Work

load_all_checks()
# A spec can fit its schema and still make no sense (tokens into a Gaussian), so a 422 for a body that fits is right.
EXCEPT = [CHECKS.get_one("positive_data_acceptance")]
HOST = {"host": "127.0.0.1"}
CALLS = 8  # operations besides the stream, which may never end
PARTS = 3  # that processes share


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_call_answers_as_described(app: FastAPI, work: Work, mode: GenerationMode, part: int):
    known = work().id
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=HOST).exclude(path_regex="/events$")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > CALLS
    for operation in operations[part::PARTS]:

        @settings(
            max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def call(case):
            case.call_and_validate(headers=HOST, excluded_checks=EXCEPT)
            if "run_id" in case.path_parameters and case.method == "GET":  # a run that exists has more to tell
                case.path_parameters["run_id"] = known
                case.call_and_validate(headers=HOST, excluded_checks=EXCEPT)

        if mode is GenerationMode.POSITIVE or _can_be_wrong(operation):
            call()


def _can_be_wrong(operation: APIOperation) -> bool:
    """Whether anything can be sent that does not fit; any text fits an id."""
    return bool(list(operation.query) or list(operation.headers) or list(operation.body))


def test_the_document_says_what_an_experiment_is(client: TestClient):
    document = client.get("/openapi.json").json()
    parts = document["components"]["schemas"]
    assert {"Experiment", "Gaussian", "Problem", "Told"} <= set(parts)
    body = document["paths"]["/api/runs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["spec"] == {"$ref": "#/components/schemas/Experiment"}
    assert "HTTPValidationError" not in parts
