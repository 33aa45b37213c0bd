"""The ASGI application of a server: all routes behind the guard."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from aeonnx.serving import inference_routes, page_routes, picture_routes
from aeonnx.serving.guard import Guard
from aeonnx.serving.hub import Hub

__all__ = ["create_app"]


def create_app(hub: Hub) -> Guard:
    """The application for the models of a hub, which whoever runs it starts and stops."""

    async def metrics(_: Request) -> Response:
        return Response(hub.metrics.page(), media_type="text/plain; version=0.0.4")

    routes = [
        *inference_routes.routes(hub),
        *picture_routes.routes(hub),
        *page_routes.routes(hub),
        Route("/metrics", metrics),
    ]
    router = Router(routes, redirect_slashes=False)
    return Guard(router, hub.options, hub.state, hub.metrics, hub.access_log)
