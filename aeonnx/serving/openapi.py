"""The OpenAPI description of a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aeonnx import __version__

__all__ = ["description"]

_PICTURE = {"image/*": {"schema": {"type": "string", "format": "binary"}}}
_PNG = {"image/png": {"schema": {"type": "string", "format": "binary"}}}
_JSON = {"application/json": {"schema": {"type": "object"}}}
_TENSORS = {
    "application/json": {"schema": {"$ref": "#/components/schemas/InferenceRequest"}},
    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
}
_ANSWERS = {
    "application/json": {"schema": {"$ref": "#/components/schemas/InferenceResponse"}},
    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
}
_TENSOR = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "datatype": {"type": "string"},
        "parameters": {"type": "object"},
        "data": {"type": "array", "items": {}},
    },
}


def description(models: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The description of a server with these models, by name and version."""
    model = _in_path("model", {"type": "string", "enum": [*models]})
    version = _in_path("version", {"type": "string", "pattern": "^[0-9]+$"})
    paths: dict[str, Any] = {
        "/v2": _get("Name, version and extensions of the server.", _JSON),
        "/v2/health/live": _get("Whether the process answers.", _JSON),
        "/v2/health/ready": _get("Whether all models are verified.", _JSON, "503"),
        "/v2/repository/index": {"post": _operation("All models and versions.", _JSON)},
        "/metrics": _get("Metrics for Prometheus.", {"text/plain": {}}),
        "/denoise": _post(
            "Denoise a picture. It keeps its size, depth, transparency and colour profile where "
            "the model takes pictures of any size.",
            _PICTURE,
            _PNG,
            [
                _option("strength", "Share of the denoised picture, 0 to 1.", "number"),
                _option("label", "Class of the picture."),
            ],
        ),
        "/reconstruct": _post(
            "Encode and decode a picture.", _PICTURE, _PNG, [_option("label", "Class.")]
        ),
        "/score": _post(
            "Score a picture, or rows of numbers as JSON, by how unlike the training's they are.",
            {**_PICTURE, **_JSON},
            _JSON,
            [
                _option("threshold", "p99, p95 or a number: scores above it are odd."),
                _option("label", "Class of the picture."),
            ],
        ),
        "/generate": {
            "get": _operation(
                "Generate images as one PNG. Image i of a seed is always the same.",
                _PNG,
                [
                    _option("n", "Number of images.", "integer"),
                    _option("seed", "Which images.", "integer"),
                    _option("first", "Index of the first image.", "integer"),
                    _option("label", "Class of the images."),
                    _option("size", "HEIGHTxWIDTH of images of any size."),
                    _option("bundle", "Name of the bundle, if several can generate."),
                ],
            )
        },
    }
    for path, parameters in (
        ("/v2/models/{model}", [model]),
        ("/v2/models/{model}/versions/{version}", [model, version]),
    ):
        paths[path] = _get("Inputs and outputs of a model.", _JSON, "404", parameters)
        paths[f"{path}/ready"] = _get("Whether a model is ready.", _JSON, "503", parameters)
        paths[f"{path}/config"] = _get("Configuration of a model.", _JSON, "404", parameters)
        paths[f"{path}/infer"] = {
            "post": {
                **_operation("Run a model on tensors.", _ANSWERS, parameters),
                "requestBody": {"required": True, "content": _TENSORS},
            }
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "aeonnx",
            "version": __version__,
            "description": "Autoencoders as verified ONNX graphs: the Open Inference Protocol v2 "
            "with binary tensors, and routes for pictures.",
        },
        "paths": paths,
        "components": {"schemas": _SCHEMAS},
    }


_SCHEMAS = {
    "InferenceRequest": {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "parameters": {"type": "object"},
            "inputs": {"type": "array", "items": _TENSOR},
            "outputs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"type": "string"},
                        "parameters": {"type": "object"},
                    },
                },
            },
        },
    },
    "InferenceResponse": {
        "type": "object",
        "required": ["model_name", "outputs"],
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": {"type": "array", "items": _TENSOR},
        },
    },
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string"}},
    },
}


def _in_path(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _option(name: str, text: str, kind: str = "string") -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "schema": {"type": kind}}


def _operation(
    summary: str, content: Mapping[str, Any], parameters: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "summary": summary,
        "parameters": parameters or [],
        "responses": {
            "200": {"description": "The answer.", "content": content},
            "default": {"description": "What is wrong.", "content": error},
        },
    }


def _get(
    summary: str,
    content: Mapping[str, Any],
    other: str | None = None,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    found = _operation(summary, content, parameters)
    if other:
        found["responses"][other] = {"description": "It is not.", "content": _JSON}
    return {"get": found}


def _post(
    summary: str,
    takes: Mapping[str, Any],
    gives: Mapping[str, Any],
    options: list[dict[str, Any]],
) -> dict[str, Any]:
    bundle = _option("bundle", "Name of the bundle, if several can do it.")
    found = _operation(summary, gives, [*options, bundle])
    found["requestBody"] = {"required": True, "content": takes}
    return {"post": found}
