"""Creates sessions on the requested execution providers (EPs), without silent fallback.

onnxruntime lists providers that cannot load, and falls back to the CPU with only a line on stderr.
Here the default uses CUDA only if it really loads, and a provider requested by name raises an
error if the session did not get it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnxruntime as ort
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidProtobuf

from aeonnx._util.cuda_libraries import GPU_WHEEL, driver_problem, load_problem
from aeonnx._util.text import printable
from aeonnx.errors import ProviderError, UnknownNameError, UsageError
from aeonnx.runtime.session_options import SessionOptions, new_options

__all__ = ["CPU", "CUDA", "Provider", "create_session", "full_name", "normalized", "require_built"]

_LOG = logging.getLogger(__name__)

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
_TENSORRT = "TensorrtExecutionProvider"
_ON_NVIDIA = (CUDA, _TENSORRT)
_AUTO = "providers=None, or --provider auto, takes CUDA where it loads, else the CPU."

Provider = str | tuple[str, Mapping[str, str]]
"""A provider's short or full name, alone or with onnxruntime's provider options."""

Wanted = list[tuple[str, dict[str, str]]]
"""Full names of providers, each with its options."""

_OPTIONS: dict[str, dict[str, str]] = {
    CUDA: {
        # TF32 keeps 10 bits of each factor: too few for parity with float32.
        "use_tf32": "0",
        # The default rounds up to powers of two, and the arena never releases memory.
        "arena_extend_strategy": "kSameAsRequested",
        # The default, EXHAUSTIVE, times all algorithms again for each new number of rows.
        "cudnn_conv_algo_search": "HEURISTIC",
    },
}
_BEHIND = {_TENSORRT: [CUDA]}
"""Providers for the nodes that another provider does not support, ahead of the CPU."""


def full_name(name: str) -> str:
    """onnxruntime's name of a provider: "cuda" -> "CUDAExecutionProvider".

    Raises:
        UnknownNameError: onnxruntime knows no such provider.
    """
    known = {_short(full): full for full in ort.get_all_providers()}
    short = _short(name)
    if short not in known:
        has = ", ".join(map(_short, ort.get_available_providers()))
        raise UnknownNameError("provider", name, known, f"This onnxruntime has: {has}. {_AUTO}")
    return str(known[short])


def _short(name: str) -> str:
    return name.lower().removesuffix("executionprovider")


def require_built(providers: Sequence[Provider]) -> None:
    """Check the names of providers, and that this build of onnxruntime has the first.

    Raises:
        ProviderError: it has not; the message lists those that it has.
        UnknownNameError, UsageError: see `normalized`.
    """
    name = normalized(providers)[0][0]
    problem = _missing(name)
    if problem is not None:
        raise ProviderError(name, problem)


def create_session(
    source: Path | bytes,
    providers: Sequence[Provider] | None,
    threads: int | None = None,
    session_options: SessionOptions | None = None,
) -> ort.InferenceSession:
    """Create a session for a graph.

    Args:
        source: path or content of the .onnx file.
        providers: EPs in order of preference, the first of which the session must get; None for
            CUDA where it loads, else the CPU.
        threads: intra-op threads; None for one per core that this process may use.
        session_options: see `aeonnx.load`.

    Raises:
        ProviderError: the first provider cannot run here, or not with the given options.
        UnknownNameError: onnxruntime knows no such provider.
        UsageError: `providers` is not a list of names and (name, options).
    """
    options = new_options(threads, session_options or {}, from_bytes=isinstance(source, bytes))
    if providers is None:
        return _open_default(source, options)
    wanted = normalized(providers)
    name = wanted[0][0]
    problem = _build_problem(name)
    if problem is None:
        try:
            session = _open(source, options, wanted)
        except Exception as error:  # onnxruntime's errors have no other common base
            if name == CPU:
                raise
            _open(source, options, [(CPU, {})])  # raises if the graph itself is at fault
            problem = _load_problem(name) or (
                f"onnxruntime says: {_in_words(error)} (options: {wanted[0][1]})"
            )
        else:
            if session.get_providers()[0] == name:
                return session
            problem = _load_problem(name) or (
                "onnxruntime could not load it (its own message on stderr says why)"
            )
    raise ProviderError(name, problem)


def _open_default(source: Path | bytes, options: ort.SessionOptions) -> ort.InferenceSession:
    problem = _build_problem(CUDA)
    if problem is None:
        # A full or broken GPU must not raise; if the graph is broken, the CPU raises below.
        try:
            session = _open(source, options, [(CUDA, _OPTIONS[CUDA])])
            if session.get_providers()[0] == CUDA:
                return session
            problem = _load_problem(CUDA) or "onnxruntime could not load it"
        except Exception as error:  # onnxruntime's errors have no other common base
            problem = printable(_in_words(error))
        _LOG.warning("CUDA is here but does not run, the CPU is used: %s", problem)
    else:
        _LOG.debug("CUDA is not used: %s", problem)
    return _open(source, options, [(CPU, {})])


def normalized(providers: Sequence[Provider]) -> Wanted:
    """Full names, each with our default options overridden by the user's.

    Raises:
        UnknownNameError: onnxruntime knows no such provider.
        UsageError: `providers` is not a list of names and (name, options).
    """
    if not isinstance(providers, list | tuple) or not providers:
        raise UsageError(f"providers: expected a list such as ['cuda'], got {providers!r}")
    wanted = []
    for provider in providers:
        name, options = _name_and_options(provider)
        full = full_name(name)
        given = {str(key): str(value) for key, value in options.items()}
        if full == CPU and given:  # onnxruntime would ignore them
            raise UsageError(f"{CPU} takes no options, got {given}")
        wanted.append((full, {**_OPTIONS.get(full, {}), **given}))
    if len(wanted) == 1:
        wanted += [(behind, _OPTIONS[behind]) for behind in _BEHIND.get(wanted[0][0], ())]
    return wanted


def _name_and_options(provider: object) -> tuple[str, Mapping[str, str]]:
    match provider:
        case str():
            return provider, {}
        case (str() as name, Mapping() as options):
            return name, options
    raise UsageError(
        f"providers: expected names such as 'cuda' and pairs such as ('cuda', {{...}}), "
        f"got {provider!r}"
    )


def _open(
    source: Path | bytes, options: ort.SessionOptions, wanted: Wanted
) -> ort.InferenceSession:
    graph = source if isinstance(source, bytes) else str(source)
    if any(name in _ON_NVIDIA for name, _ in wanted):
        # Loads the CUDA libraries of the nvidia wheels; prints the ones that it cannot find.
        with contextlib.redirect_stdout(io.StringIO()):
            ort.preload_dlls()
    try:
        # Otherwise onnxruntime answers a failure, now or later, with a silent retry on the CPU.
        session = ort.InferenceSession(graph, options, providers=wanted, enable_fallback=False)
        session.disable_fallback()
        _read_texts(session)
    except UnicodeDecodeError as error:
        raise InvalidProtobuf(f"a name or text in it is not UTF-8 ({error.reason})") from error
    return session


def _read_texts(session: ort.InferenceSession) -> None:
    """Fail at opening, not at first use, if a damaged graph has names that are not UTF-8."""
    _ = session.get_modelmeta().custom_metadata_map
    for node in (*session.get_inputs(), *session.get_outputs()):
        _ = node.name, node.shape


def _build_problem(name: str) -> str | None:
    """Why this build or driver rules a provider out; None if it is worth trying."""
    return _missing(name) or (driver_problem() if name in _ON_NVIDIA else None)


def _missing(name: str) -> str | None:
    available = ort.get_available_providers()
    if name in available:
        return None
    remedy = f": {GPU_WHEEL}" if name in _ON_NVIDIA else ""
    return f"this onnxruntime is a build without it, it has {', '.join(available)}{remedy}"


def _in_words(error: Exception) -> str:
    """The reason in an EP's message, without source files, functions and host names."""
    text = " ".join(str(error).split())
    words = re.search(r"CUDA failure [^;]+|(?:Unknown|Failed to parse) provider option:? .*", text)
    return words[0].strip() if words else text


def _load_problem(name: str) -> str | None:
    """The library that a provider lacks, from the dynamic loader; None if it loads."""
    folder = Path(ort.__file__).parent / "capi"
    short = name.removesuffix("ExecutionProvider").lower()
    library = folder / f"libonnxruntime_providers_{short}.so"
    if not library.exists():
        return None
    return load_problem(library, folder / "libonnxruntime_providers_shared.so")
