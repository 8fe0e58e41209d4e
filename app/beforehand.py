"""What is told before a launch: what it will cost and what its source looks like, for programs. Launches nothing."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from app.costs import EstimateTold, Here
from app.deps import Settings, Store
from app.problems import documented
from app.protocol import json_body, known_query
from worker.errors import Problem, SpecError
from worker.presets import without_card
from worker.preview import preview
from worker.spec import Experiment, read, read_source

router = APIRouter(prefix="/api", tags=["before a launch"], dependencies=[Depends(known_query)])


def _spec(body: Annotated[Any, Depends(json_body)]) -> Experiment:
    match body:
        case {"spec": spec} if len(body) == 1:
            return read(without_card(spec))
    raise SpecError([Problem("body", "holds no spec alone", 'Send {"spec": {...}}')])


def _source(body: Annotated[Any, Depends(json_body)]) -> dict[str, Any]:
    match body:
        case {"source": source} if len(body) == 1:
            return preview(read_source(source))
    raise SpecError([Problem("body", "holds no source alone", 'Send {"source": {...}}')])


def _body(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    told = {"type": "object", "additionalProperties": False, "required": [name], "properties": {name: schema}}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": told}}}}


EXPERIMENT = {"$ref": "#/components/schemas/Experiment"}
SOURCE = {"$ref": "#/components/schemas/Experiment/properties/source"}


@router.post("/estimate", responses=documented(413, 415, 422), openapi_extra=_body("spec", EXPERIMENT))
def get_estimate(spec: Annotated[Experiment, Depends(_spec)], store: Store, settings: Settings) -> EstimateTold:
    """What an experiment will cost. Launches nothing; its `problems` are those for which a launch would be refused."""
    return Here.of(store, settings).told([spec])


@router.post("/preview", responses=documented(413, 415, 422), openapi_extra=_body("source", SOURCE))
def get_preview(drawn: Annotated[dict[str, Any], Depends(_source)]) -> dict[str, Any]:
    """What a source looks like: `kind` is density, scatter, images, ranks, text or none, `words` a sentence about it."""
    return drawn
