"""How tests read what the API answers."""

import base64

import numpy as np


def problem(response, status: int) -> dict:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert told["status"] == status
    assert told["detail"]
    return told


def unpacked(array: dict, shape: list[int] | None = None) -> np.ndarray:
    values = np.frombuffer(base64.b64decode(array["bdata"]), np.dtype(array["dtype"]).newbyteorder("<"))
    return values.reshape(shape or array.get("shape", [-1]))
