"""The routes of the Open Inference Protocol v2."""

from __future__ import annotations

import zlib
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aeonnx import __version__
from aeonnx.serving.bodies import WINDOWS
from aeonnx.serving.hub import Hub
from aeonnx.serving.inference import Service
from aeonnx.serving.protocol import Answer, parse, render, tensor_metadata
from aeonnx.serving.responses import Endpoint, json_response
from aeonnx.serving.threads import aside

__all__ = ["routes"]

_HEADER = "inference-header-content-length"
_EXTENSIONS = ["binary_tensor_data", "model_configuration", "model_repository"]
_WORTH = 1024
"""Bytes from which an answer is compressed for a client that asks for it."""


def routes(hub: Hub) -> list[Route]:
    """The routes for the models of a hub."""

    async def infer(request: Request) -> Response:
        service = hub.service(request.path_params)
        model = service.model
        with service.metrics.request():
            service.require_room()
            async with hub.body(request) as body:
                given = (body, request.headers.get(_HEADER), service.inputs, service.outputs)
                call = await hub.parsed(len(body), lambda: parse(*given))
                found = await service.infer(request, call.inputs, call.timeout)

            def answer() -> Response:
                return _response(request, render(model.name, model.version, call, found))

            return await aside(sum(value.nbytes for value in found.values()), answer)

    async def server(_: Request) -> Response:
        return json_response({"name": "aeonnx", "version": __version__, "extensions": _EXTENSIONS})

    async def live(_: Request) -> Response:
        return json_response({"live": hub.alive}, 200 if hub.alive else 503)

    async def ready(_: Request) -> Response:
        return json_response({"ready": hub.ready}, 200 if hub.ready else 503)

    async def model(request: Request) -> Response:
        return json_response(_metadata(hub, hub.service(request.path_params)))

    async def model_ready(request: Request) -> Response:
        service = hub.service(request.path_params)
        name = service.model.name
        return json_response({"name": name, "ready": hub.ready}, 200 if hub.ready else 503)

    async def config(request: Request) -> Response:
        return json_response(_config(hub, hub.service(request.path_params)))

    async def index(_: Request) -> Response:
        state = "READY" if hub.ready else "UNAVAILABLE"
        return json_response(
            [
                {"name": name, "version": version, "state": state, "reason": ""}
                for name, versions in hub.models.items()
                for version in versions
            ]
        )

    run = Endpoint(infer)  # the busiest route
    found = [
        Route("/v2/models/{model}/infer", run, methods=["POST"]),
        Route("/v2/models/{model}/versions/{version}/infer", run, methods=["POST"]),
        Route("/v2", server),
        Route("/v2/health/live", live),
        Route("/v2/health/ready", ready),
        Route("/v2/repository/index", index, methods=["POST"]),
    ]
    for path in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        found += [
            Route(path, model),
            Route(f"{path}/ready", model_ready),
            Route(f"{path}/config", config),
        ]
    return found


def _metadata(hub: Hub, service: Service) -> dict[str, Any]:
    model = service.model
    return {
        "name": model.name,
        "versions": [*hub.models[model.name]],
        "platform": "onnxruntime_onnx",
        "inputs": [tensor_metadata(spec) for spec in service.inputs],
        "outputs": [tensor_metadata(spec) for spec in service.outputs],
    }


def _config(hub: Hub, service: Service) -> dict[str, Any]:
    """As Triton's model configuration, whose shapes leave out the axis of rows."""

    def tensors(specs: Any) -> list[dict[str, Any]]:
        entries = [tensor_metadata(spec) for spec in specs]
        return [
            {
                "name": entry["name"],
                "data_type": f"TYPE_{entry['datatype']}",
                "dims": entry["shape"][1:] if service.batches else entry["shape"],
            }
            for entry in entries
        ]

    return {
        "name": service.model.name,
        "platform": "onnxruntime_onnx",
        "backend": "onnxruntime",
        "max_batch_size": hub.options.max_queue if service.batches else 0,
        "input": tensors(service.inputs),
        "output": tensors(service.outputs),
    }


def _response(request: Request, answer: Answer) -> Response:
    body = b"".join(answer.parts)
    headers = {}
    if answer.header_length is not None:
        headers[_HEADER] = str(answer.header_length)
    encoding = _encoding(request.headers.get("accept-encoding", ""))
    if encoding and len(body) >= _WORTH:
        stream = zlib.compressobj(1, wbits=WINDOWS[encoding])
        body = stream.compress(body) + stream.flush()
        headers["content-encoding"] = encoding
    kind = "application/json" if answer.header_length is None else "application/octet-stream"
    return Response(body, headers=headers, media_type=kind)


def _encoding(accepted: str) -> str | None:
    """The encoding of an answer: of those that the client accepts, the first that we know."""
    for item in accepted.split(","):
        name, _, weight = item.partition(";")
        if name.strip() in WINDOWS and weight.replace(" ", "") not in ("q=0", "q=0.0"):
            return name.strip()
    return None
