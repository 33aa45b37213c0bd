"""Routes for people with curl: a picture in and a picture out, scores, and generated images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aeonnx.bundle import shape_at
from aeonnx.errors import RequestError
from aeonnx.io.images import png
from aeonnx.runtime import Bundle
from aeonnx.runtime.generating import image_sizes, size_in
from aeonnx.runtime.scored import Scored
from aeonnx.runtime.verbs import made_by
from aeonnx.serving.hub import Hub
from aeonnx.serving.inference import Service
from aeonnx.serving.json_rows import rows_of
from aeonnx.serving.pictures import count_pixels, prepared, row_of
from aeonnx.serving.queries import Query, allowed, query_of
from aeonnx.serving.responses import json_response

__all__ = ["generated_size", "routes"]

_MOST_GENERATED = 1024


def routes(hub: Hub) -> list[Route]:
    """The routes for the bundles of a hub."""

    async def denoise(request: Request) -> Response:
        query = query_of(hub, request, "denoise", ("strength", "label"))
        return await _picture(hub, request, query, {"strength": query.share("strength")})

    async def reconstruct(request: Request) -> Response:
        query = query_of(hub, request, "reconstruct", ("label",))
        return await _picture(hub, request, query, {})

    async def score(request: Request) -> Response:
        query = query_of(hub, request, "score", ("threshold", "label"))
        bundle, threshold = query.bundle, query.options.get("threshold", "p99")
        spec, service = bundle.inputs("scorer")[0], hub.part(bundle, query.part)

        async def scored(rows: Any) -> Response:
            label = query.label(rows)

            def run() -> Scored:
                return bundle.score(rows, threshold=threshold, **label())

            found = await _called(service, request, query, run, rows)
            rows_found = [found.row(place) for place in range(len(found))]
            return json_response({"threshold": found.threshold, "rows": rows_found})

        with service.metrics.request():
            async with hub.body(request) as body:
                if spec.kind != "image":
                    return await scored(await hub.parsed(len(body), lambda: rows_of(spec, body)))
                with hub.pixels.held(await _pixels(hub, body)):
                    return await scored(await run_in_threadpool(row_of, spec, body))

    async def generate(request: Request) -> Response:
        query = query_of(hub, request, "generate", ("n", "seed", "first", "label", "size"))
        n = query.number("n", 1, 1, _MOST_GENERATED)
        seed = query.number("seed", 0, 0, 2**63 - 1)
        first = query.number("first", 0, 0, 2**63 - n)
        bundle, label = query.bundle, query.label()
        size = generated_size(bundle, query.options.get("size"))
        asked = size if "size" in query.options else None
        most, pixels = hub.options.max_pixels, math.prod(size)
        service = hub.part(bundle, query.part)

        def run() -> Any:
            return bundle.generate(n, seed, first, size=asked, pixels=True, **label())

        with service.metrics.request():
            shape = "x".join(map(str, reversed(size)))
            if pixels > most:
                text = f"size: expected images of at most {most} pixels, got {shape}"
                raise RequestError(413, text)
            if n * pixels > most:
                raise RequestError(
                    413, f"n: expected at most {most // pixels} images of {shape} pixels, got {n}"
                )
            with hub.pixels.held(n * pixels):
                images = await _called(service, request, query, run, np.empty((n, 0)))
                return Response(await run_in_threadpool(png, images), media_type="image/png")

    return [
        Route("/denoise", denoise, methods=["POST"]),
        Route("/reconstruct", reconstruct, methods=["POST"]),
        Route("/score", score, methods=["POST"]),
        Route("/generate", generate),
    ]


async def _picture(
    hub: Hub, request: Request, query: Query, options: Mapping[str, Any]
) -> Response:
    """The answer to a picture: what the verb makes of it, as a PNG of the same depth."""
    bundle, verb = query.bundle, query.verb
    service = hub.part(bundle, query.part)
    given = {name: value for name, value in options.items() if value is not None}
    with service.metrics.request():
        async with hub.body(request) as body:
            with hub.pixels.held(await _pixels(hub, body)):
                rows, encode = await run_in_threadpool(prepared, bundle, verb, body)
                call, label = getattr(bundle, verb), query.label(rows)

                def run() -> Any:
                    return call(rows, pixels=rows.dtype == np.uint8, **given, **label())

                made = await _called(service, request, query, run, rows)
                return Response(await run_in_threadpool(encode, made), media_type="image/png")


async def _pixels(hub: Hub, body: bytes) -> int:
    return await run_in_threadpool(count_pixels, body, hub.options.max_pixels)


async def _called(
    service: Service, request: Request, query: Query, run: Callable[[], Any], rows: Any
) -> Any:
    """What `run()` returns, in the thread of a part.

    Raises:
        RequestError: the request cannot be answered.
    """
    run = partial(allowed, query.bundle, run)
    return await service.call(request, run, len(rows), rows.nbytes)


def generated_size(bundle: Bundle, asked: str | None = None) -> tuple[int, ...]:
    """Height and width of the images that a bundle generates, if asked for a size such as 64x48."""
    part, image = made_by(bundle.manifest, "generate")
    size = None if asked is None else size_in("size", asked)
    return shape_at(image.shape[2:], image_sizes(bundle.variant(part), size))
