"""The pages of a server: what it serves to try, and the description of its routes."""

from __future__ import annotations

import html
from importlib.resources import files
from string import Template
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from aeonnx import __version__
from aeonnx._util.clients import clients_folder
from aeonnx.bundle import scaled
from aeonnx.runtime import Bundle
from aeonnx.runtime.verbs import made_by
from aeonnx.serving.hub import Hub
from aeonnx.serving.openapi import description
from aeonnx.serving.picture_routes import generated_size
from aeonnx.serving.queries import able, classes_of
from aeonnx.serving.responses import json_response

__all__ = ["routes"]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FILES = {"base.css": "text/css", "page.css": "text/css", "page.mjs": "text/javascript"}
_SHARED = "base.css"
"""The look that this page has in common with the one in clients/web."""


def routes(hub: Hub) -> list[Route]:
    """The routes for the models of a hub."""

    def page(name: str, **values: str) -> Response:
        text = Template(_text(name)).substitute(version=html.escape(__version__), **values)
        return HTMLResponse(text, headers={"content-security-policy": _POLICY})

    async def index(_: Request) -> Response:
        return page("index.html")

    async def about(_: Request) -> Response:
        """What the page can offer."""
        verbs = ("denoise", "reconstruct", "score", "generate")
        return json_response(
            {
                "ready": hub.ready,
                "verbs": {verb: _bundles(hub, verb) for verb in verbs},
                "models": {name: [*versions] for name, versions in hub.models.items()},
            }
        )

    async def docs(_: Request) -> Response:
        return page("docs.html", rows=_rows(description(hub.models)))

    async def openapi(_: Request) -> Response:
        return json_response(description(hub.models))

    def asset(name: str) -> Any:
        async def found(_: Request) -> Response:
            return Response(_text(name), media_type=_FILES[name])

        return found

    return [
        Route("/", index),
        Route("/about", about),
        Route("/docs", docs),
        Route("/openapi.json", openapi),
        *(Route(f"/{name}", asset(name)) for name in _FILES),
    ]


def _text(name: str) -> str:
    if name == _SHARED:
        return (clients_folder() / "web/page" / name).read_text(encoding="utf-8")
    return (files("aeonnx.serving") / "page" / name).read_text(encoding="utf-8")


def _bundles(hub: Hub, verb: str) -> list[dict[str, Any]]:
    """The bundles that can run a verb, with the classes that they take, and the usual size."""
    return [
        {"name": name, "classes": classes_of(bundle, verb), "size": _usual_size(bundle, verb)}
        for name, bundle in able(hub, verb).items()
    ]


def _usual_size(bundle: Bundle, verb: str) -> str | None:
    """Of generated images, if they can have others."""
    if verb != "generate" or not any(map(scaled, made_by(bundle.manifest, verb)[1].shape[2:])):
        return None
    return "x".join(map(str, generated_size(bundle)))


def _rows(document: dict[str, Any]) -> str:
    """The operations as rows of a table."""
    lines = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            options = "".join(
                f"<br><code>{html.escape(each['name'])}</code> {html.escape(each['description'])}"
                for each in operation["parameters"]
                if each["in"] == "query"
            )
            lines.append(
                f"<tr><td><code>{method.upper()}</code></td><td><code>{html.escape(path)}</code>"
                f"</td><td>{html.escape(operation['summary'])}{options}</td></tr>"
            )
    return "\n".join(lines)
