"""A replica and the builder of `aeonnx.scale.serve`, in this process: Ray only calls them."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from aeonnx.errors import GoldenMismatchError, MissingExtraError, SetupError, UsageError
from aeonnx.scale.serve import Arguments, Replica, app
from tests.runtime.test_verify import falsify

Maker = Callable[..., Path]

# Ray warns of what it uses itself.
pytestmark = pytest.mark.filterwarnings(r"ignore::DeprecationWarning:ray\.")


def in_replica(arguments: Arguments, use: Callable[[Any], Awaitable[None]]) -> None:
    """Make a replica as Ray does, and use it."""

    async def run() -> None:
        replica = Replica.__new__(Replica)
        await replica.__init__(arguments)  # type: ignore[misc]
        try:
            await use(replica)
        finally:
            replica.__del__()

    asyncio.run(run())


def test_health_is_a_row_of_each_model(bundle_of: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(replica: Any) -> None:
        await replica.check_health()

        def lost() -> None:
            raise SetupError("the device is gone")

        with monkeypatch.context() as patch:
            patch.setattr(replica, "_trials", [*replica._trials, lost])
            with pytest.raises(SetupError, match="the device is gone"):
                await replica.check_health()
        await replica.check_health()

    in_replica(Arguments(str(bundle_of())), use)


def test_health_ends_with_a_thread_of_a_model(bundle_of: Maker) -> None:
    async def use(replica: Any) -> None:
        batcher = next(iter(replica._hub._services.values())).batcher
        batcher.close()
        batcher._thread.join(30)
        with pytest.raises(SetupError, match="a thread that runs a model has ended"):
            await replica.check_health()

    in_replica(Arguments(str(bundle_of())), use)


def test_health_needs_no_files(bundle_copy: Path) -> None:
    async def use(replica: Any) -> None:
        shutil.rmtree(bundle_copy)
        await replica.check_health()

    in_replica(Arguments(str(bundle_copy)), use)


def test_a_falsified_bundle_makes_no_replica(bundle_copy: Path) -> None:
    falsify(bundle_copy, "encoder", "mu", 0.01)

    async def use(_: Any) -> None:
        pytest.fail("it was made")

    with pytest.raises(GoldenMismatchError, match="so it is not served: encoder.mu"):
        in_replica(Arguments(str(bundle_copy)), use)


def test_an_application_has_the_limits_of_its_arguments() -> None:
    pytest.importorskip("fastapi")
    given = {"bundles": ["a", "b"], "max_batch": "32", "gpu": "true", "timeout": 10}
    deployment = app(given)._bound_deployment
    assert deployment.name == "Bundles"
    assert deployment.num_replicas == 1
    assert deployment.max_ongoing_requests == 64
    assert deployment.max_queued_requests == 1024
    assert deployment.ray_actor_options == {"num_cpus": 1, "num_gpus": 1}
    (arguments,) = deployment.init_args
    assert arguments == Arguments(("a", "b"), gpu=True, max_batch=32, timeout=10.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"bundles\n  Field required"),
        ({"bundles": "b", "max_bach": 1}, "max_bach\n  Unexpected keyword argument"),
        ({"bundles": "b", "max_batch": "many"}, r"max_batch\n  Input should be a valid integer"),
        ({"bundles": "b", "max_batch": 0}, "max_batch: expected 1 or more, got 0"),
        ({"bundles": "b", "timeout": -1}, "timeout: expected seconds above 0, got -1"),
        ({"bundles": "b", "token_file": "nowhere"}, "token_file: nowhere cannot be read"),
    ],
)
def test_arguments_that_do_not_fit(given: dict[str, Any], message: str) -> None:
    pytest.importorskip("fastapi")
    with pytest.raises(UsageError, match=message):
        app(given)


def test_an_application_needs_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(MissingExtraError, match=r"Ray Serve needs fastapi.*aeonnx\[scale\]"):
        app({"bundles": "b"})


def test_a_token_comes_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("0123456789abcdef\n")
    found = Arguments("b", token_file=str(tmp_path / "token")).options()
    assert found.token == "0123456789abcdef"
    assert "0123456789abcdef" not in repr(Arguments("b", token_file=str(tmp_path / "token")))
