"""The least that an application under uvicorn does: read the body, answer a constant.

SIZE=3200 uvicorn bare_asgi:app
"""

import os
from typing import Any

BODY = bytes(int(os.environ["SIZE"]))
HEADERS = [
    (b"content-type", b"application/octet-stream"),
    (b"content-length", str(len(BODY)).encode()),
]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})
