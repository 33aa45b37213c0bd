"""Bundles as an application of Ray Serve, with the routes of `aeonnx serve`.

`aeonnx deploy ray` writes a configuration file that names `aeonnx.scale.serve:app`. Without one:
`serve run aeonnx.scale.serve:app bundles=dist/vae`. Needs the extras `scale` and `serve`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from aeonnx._util.optional import require_modules
from aeonnx.errors import SetupError, UsageError
from aeonnx.runtime import load
from aeonnx.runtime.session_options import NO_SPINNING
from aeonnx.scale.deployment import DEPLOYMENT, deployment_options
from aeonnx.serving import Hub, ServeOptions, create_app, read_token

if TYPE_CHECKING:
    from ray.serve import Application
    from starlette.types import ASGIApp

__all__ = ["Arguments", "Replica", "app"]

_HUB: ContextVar[Hub] = ContextVar("aeonnx.scale.serve")
"""The hub of this replica: Ray calls `_routes` where it has called the constructor."""


@dataclass(frozen=True)
class Arguments:
    """The arguments of `app`, by the names that `args` in a configuration file has.

    Args:
        bundles: folders of bundles, of different names, at the same paths on all machines.
        gpu: whether a replica has a GPU, and runs all graphs on CUDA.
        cpus: cores of a replica; on the CPU, each graph has as many threads.
        precision: "fp32", "fp16", "int8" or "auto".
        host: address that Ray's proxies listen on: with a loopback address, replicas answer only to
            names of this machine.
        token_file: file with a token that requests must bear, at this path on all machines.
        max_batch, max_queue, max_body, max_pixels, timeout: see `aeonnx.serving.ServeOptions`.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    bundles: str | tuple[str, ...]
    gpu: bool = False
    cpus: int = 1
    precision: str = "fp32"
    host: str = ServeOptions.host
    token_file: str | None = None
    max_batch: int = ServeOptions.max_batch
    max_queue: int = ServeOptions.max_queue
    max_body: int = ServeOptions.max_body
    max_pixels: int = ServeOptions.max_pixels
    timeout: float = ServeOptions.timeout

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders of the bundles."""
        return (self.bundles,) if isinstance(self.bundles, str) else self.bundles

    def options(self) -> ServeOptions:
        """The options of a replica's server, with the token.

        Raises:
            UsageError: a value is not allowed, or the file of the token cannot be read.
        """
        return ServeOptions(
            host=self.host,
            token=None if self.token_file is None else read_token(Path(self.token_file)),
            max_batch=self.max_batch,
            max_queue=self.max_queue,
            max_body=self.max_body,
            max_pixels=self.max_pixels,
            timeout=self.timeout,
            access_log=False,  # Ray writes one
        )


class Replica:
    """One process of the application: opens, verifies and serves all bundles.

    Args:
        arguments: of the application.

    Raises:
        GoldenMismatchError: a model does not give the outputs that torch gave, so that Ray never
            sends this replica a request.
        BundleError, GraphError, ProviderError, UsageError: see `aeonnx.load` and `Hub`.
    """

    async def __init__(self, arguments: Arguments) -> None:  # type: ignore[misc]  # Ray awaits it
        with ExitStack() as stack:
            bundles = [
                stack.enter_context(
                    load(
                        folder,
                        ["cuda" if arguments.gpu else "cpu"],
                        precision=arguments.precision,
                        threads=None if arguments.gpu else arguments.cpus,
                        session_options=NO_SPINNING,
                    )
                )
                for folder in arguments.folders
            ]
            self._hub = Hub(bundles, arguments.options())
            stack.callback(self._hub.stop)
            await self._hub.start()
            models = [model for found in self._hub.models.values() for model in found.values()]
            self._trials = [model.trial() for model in models]
            self._opened = stack.pop_all()
        _HUB.set(self._hub)

    async def check_health(self) -> None:
        """Run one row of each model: Ray replaces a replica in which that fails repeatedly.

        Raises:
            SetupError: a thread that runs a model has ended.
            AeonnxError: a model does not run any more, such as on a GPU that was lost.
        """
        if not self._hub.ready:
            raise SetupError("a thread that runs a model has ended: its log says why")
        for trial in self._trials:
            await asyncio.to_thread(trial)

    def __del__(self) -> None:
        """Close the bundles: Ray calls it once all requests are answered."""
        if hasattr(self, "_opened"):
            self._hub.state.stopping = True
            self._opened.close()


def app(args: Mapping[str, Any]) -> Application:
    """Build the application, as Ray Serve does for `import_path: aeonnx.scale.serve:app`.

    Args:
        args: see `Arguments`.

    Raises:
        UsageError: an argument is missing, unknown, or has a value that is not allowed.
        MissingExtraError: Ray Serve is not installed.
    """
    require_modules("ray", "fastapi", "pydantic", extra="scale", purpose="Ray Serve")
    from ray import serve

    found = _checked(args)
    options = deployment_options(
        gpu=found.gpu,
        cpus=found.cpus,
        max_batch=found.max_batch,
        max_queue=found.max_queue,
        timeout=found.timeout,
    )
    ingress = serve.ingress(_routes)(Replica)
    return serve.deployment(name=DEPLOYMENT, **options)(ingress).bind(found)


def _checked(args: Mapping[str, Any]) -> Arguments:
    from pydantic import TypeAdapter, ValidationError

    try:
        found = TypeAdapter(Arguments).validate_python(dict(args))
    except ValidationError as error:
        raise UsageError(f"aeonnx.scale.serve:app: {error}") from error
    found.options()
    return found


def _routes() -> ASGIApp:
    return create_app(_HUB.get())
