"""Large requests: nobody waits for them."""

from __future__ import annotations

import json
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from aeonnx.serving import Server, bodies, inference_routes
from tests.serving.conftest import ask, body
from tests.support import wait_for

LARGE = json.dumps(json.loads(body(340)) | {"id": "", "parameters": {"x": "y" * 2**20}}).encode()
BINARY = {"Inference-Header-Content-Length": "0"}


@pytest.mark.parametrize(
    ("module", "name", "content", "headers"),
    [
        (inference_routes, "parse", LARGE, {}),
        (inference_routes, "render", np.zeros((340, 20), np.float32).tobytes(), BINARY),
        (bodies, "_decompressed", zlib.compress(LARGE), {"Content-Encoding": "deflate"}),
    ],
)
def test_others_are_answered_while_a_large_request_is_worked_on(
    plain: Server,
    decoder: str,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    name: str,
    content: bytes,
    headers: dict[str, str],
) -> None:
    go, work, at_once = threading.Event(), getattr(module, name), list[int]()

    def waits(*given: Any) -> Any:
        if threading.current_thread().name.startswith("AnyIO"):
            at_once.append(at_once[-1] + 1 if at_once else 1)
            assert go.wait(30)
            at_once.append(at_once[-1] - 1)
        return work(*given)

    monkeypatch.setattr(module, name, waits)
    with ThreadPoolExecutor(3) as pool:
        replies = [pool.submit(ask, plain.address, decoder, content, headers) for _ in range(3)]
        wait_for(lambda: at_once)
        assert ask(plain.address, decoder, body()).status == 200
        assert ask(plain.address, "/v2/health/ready").status == 200
        go.set()
        assert [reply.result().status for reply in replies] == [200] * 3
    if name == "parse":  # it keeps Python's lock
        assert max(at_once) == 1
