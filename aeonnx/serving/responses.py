"""Responses of the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = ["Endpoint", "json_response"]


class Endpoint:
    """A function that answers requests, as an application.

    A route would wrap the function to turn errors into responses, for some microseconds a request;
    the guard does that for all routes.

    Args:
        answer: the function.
    """

    def __init__(self, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)


def json_response(document: Any, status: int = 200) -> Response:
    """A document as JSON; arrays of numpy become lists, and NaN null."""
    body = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, status, media_type="application/json")
