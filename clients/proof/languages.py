"""The clients: how each is built and run, and what of it a user ships."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which

from clients.proof.digests import digest

__all__ = [
    "LANGUAGES",
    "PROGRAMS",
    "ROOT",
    "Language",
    "build",
    "fetch",
    "findings",
    "is_fetched",
    "missing_tools",
    "run",
]

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "build" / "clients"

Command = tuple[str, ...]


@dataclass(frozen=True)
class Language:
    """A client in a language.

    Args:
        folder: of its sources, below clients/; its commands run there.
        tools: programs that must be on the path.
        fetch: commands that ask a registry for packages.
        build: commands that make the program of what was fetched, without a network.
        program: the command line up to the verb.
        quick: options of `program`, after its first word, that shorten its start for tests, which
            start it many times.
        fuzz: the command line of the reader of damaged manifests.
        shipped: files and folders that go to a user, the engine's library included.
        besides: what a user must have beside these.
        environment: variables of all its commands.
        lint: linters and formatters of its sources, run where the sources are. A finding is an exit
            code other than 0, or text on stdout. Empty where the compiler makes warnings errors.
        lint_tools: programs that the linters need beside `tools`.
        tests: the command that runs the client's own tests, which need neither bundle nor engine;
            None where the build runs them.
        slack: tolerances that its engine may be off by.
        lacks: precisions that its engine does not run.
        slow: it takes minutes to compile: `make test-slow` builds and tests it, not `make clients`.
        other_library: variables that make it load the library of onnxruntime at a path; None where
            that comes with the program.
    """

    folder: str
    tools: Sequence[str]
    fetch: Sequence[Command]
    build: Sequence[Command]
    program: Command
    fuzz: Command
    shipped: Sequence[Path]
    quick: Sequence[str] = ()
    besides: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    lint: Sequence[Command] = ()
    lint_tools: Sequence[str] = ()
    tests: Command | None = None
    slack: float = 1
    lacks: Sequence[str] = ()
    slow: bool = False
    other_library: Callable[[Path], dict[str, str]] | None = None


def onnxruntime_library() -> Path:
    """The shared library inside the Python package, which other languages load as well."""
    found = importlib.util.find_spec("onnxruntime")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("onnxruntime is not installed: pip install aeonnx[cpu]")
    return max((Path(found.origin).parent / "capi").glob("libonnxruntime.so.*"))


def _library(path: Path) -> dict[str, str]:
    return {"ORT_DYLIB_PATH": str(path)}


def _offline_go(*words: str) -> Command:
    return ("env", "GOFLAGS=-mod=mod", "GOPROXY=off", "go", *words)


_LIBRARY = _library(onnxruntime_library())
_CMAKE = (
    f"-DONNXRUNTIME_ROOT={BUILT / 'onnxruntime'}",
    "-DAEONNX_STRICT=ON",
    "-DAEONNX_SANITIZE=ON",
)
_RUST = f"{BUILT / 'rust' / 'release'}/"
_CARGO = ("cargo", "build", "--release", "--offline")
_CARGO_TARGET = {"CARGO_TARGET_DIR": str(BUILT / "rust"), "RUSTFLAGS": "-D warnings"}
_TRACT_FEATURES = ("--no-default-features", "--features", "tract")
_TRACT = ("--bin", "aeonnx-tract", "--bin", "fuzz-tract")
_CLIPPY = ("cargo", "clippy", "--release", "--offline", "--all-targets")
_DENY = ("--", "-D", "warnings")
_GO = f"{BUILT / 'go'}/"
_NPX = ("npx", "--no-install")
_JAVA_QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
_MACHINES = {"x86_64": "x64", "arm64": "aarch64"}
_MACHINE = _MACHINES.get(platform.machine(), platform.machine())
_JAVA_NATIVE = f"ai/onnxruntime/native/linux-{_MACHINE}"
# A process that finds the library in a folder need not unpack 24 MB of its archive each time.
_JAVA_UNPACK = ("sh", "-c", f"cd {BUILT / 'java'} && jar xf lib/onnxruntime-*.jar {_JAVA_NATIVE}")
_MODULES = ROOT / "clients" / "node" / "node_modules"
_NODE = [
    *(path for path in (ROOT / "clients" / "node").glob("*.mjs") if path.name != "fuzz.mjs"),
    _MODULES / "onnxruntime-node" / "dist",
    _MODULES / "onnxruntime-node" / "bin" / "napi-v6" / "linux" / "x64",
    _MODULES / "onnxruntime-common",
    _MODULES / "pngjs",
    _MODULES / "@cwasm",
    _MODULES / "@canvas",
]


LANGUAGES: Mapping[str, Language] = {
    "cpp": Language(
        folder="cpp",
        tools=("cmake", "c++"),
        fetch=[("./get-headers.sh", str(BUILT / "onnxruntime"))],
        build=[
            ("cmake", "-S", ".", "-B", str(BUILT / "cpp"), *_CMAKE),
            ("cmake", "--build", str(BUILT / "cpp"), "--parallel", "2"),
        ],
        program=(str(BUILT / "cpp" / "aeonnx"),),
        fuzz=(str(BUILT / "cpp" / "fuzz"),),
        shipped=[BUILT / "cpp" / "aeonnx", onnxruntime_library()],
        tests=(str(BUILT / "cpp" / "tests"),),
        environment=_LIBRARY,
        other_library=_library,
    ),
    "go": Language(
        folder="go",
        tools=("go", "cc"),
        fetch=[("go", "mod", "download")],
        build=[_offline_go("build", "-trimpath", "-o", _GO, "./cmd/...")],
        lint=[_offline_go("vet", "./..."), ("gofmt", "-l", ".")],
        lint_tools=("gofmt",),
        tests=_offline_go("test", "-v", "./..."),
        program=(f"{_GO}aeonnx",),
        fuzz=(f"{_GO}fuzz",),
        shipped=[Path(_GO) / "aeonnx", onnxruntime_library()],
        environment=_LIBRARY,
        other_library=_library,
    ),
    "java": Language(
        folder="java",
        tools=("javac", "mvn"),
        fetch=[("mvn", "--quiet", "--batch-mode", "package")],
        build=[("mvn", "--quiet", "--batch-mode", "--offline", "package"), _JAVA_UNPACK],
        program=("java", "-jar", str(BUILT / "java" / "aeonnx.jar")),
        quick=(*_JAVA_QUICK, f"-Donnxruntime.native.path={BUILT / 'java' / _JAVA_NATIVE}"),
        fuzz=("java", "-cp", str(BUILT / "java" / "aeonnx.jar"), "aeonnx.Fuzz"),
        shipped=[BUILT / "java" / "aeonnx.jar", BUILT / "java" / "lib"],
        besides="Java 17",
        environment={"MAVEN_OPTS": " ".join(_JAVA_QUICK)},
    ),
    "rust": Language(
        folder="rust",
        tools=("cargo",),
        fetch=[("cargo", "fetch")],
        build=[(*_CARGO, "--bin", "aeonnx", "--bin", "fuzz")],
        lint=[(*_CLIPPY, *_DENY), ("cargo", "fmt", "--check")],
        lint_tools=("cargo-clippy", "rustfmt"),
        tests=("cargo", "test", "--release", "--offline", "--tests"),
        program=(f"{_RUST}aeonnx",),
        fuzz=(f"{_RUST}fuzz",),
        shipped=[Path(_RUST) / "aeonnx", onnxruntime_library()],
        environment=_LIBRARY | _CARGO_TARGET,
        other_library=_library,
    ),
    "tract": Language(
        folder="rust",
        tools=("cargo",),
        fetch=[("cargo", "fetch")],
        build=[(*_CARGO, *_TRACT_FEATURES, *_TRACT)],
        lint=[(*_CLIPPY, *_TRACT_FEATURES, *_DENY)],
        lint_tools=("cargo-clippy",),
        program=(f"{_RUST}aeonnx-tract",),
        fuzz=(f"{_RUST}fuzz-tract",),
        shipped=[Path(_RUST) / "aeonnx-tract"],
        environment=_CARGO_TARGET,
        slack=4,  # it sums plainly
        lacks=("fp16",),
        slow=True,
    ),
    "node": Language(
        folder="node",
        tools=("node", "npm"),
        fetch=[("npm", "install")],
        build=[("npm", "ls", "--omit=dev")],
        lint=[
            (*_NPX, "tsc", "-p", "jsconfig.json"),
            (*_NPX, "prettier", "--list-different", "*.mjs", "test/*.mjs"),
        ],
        tests=("node", "--test", "test/"),
        program=("node", str(ROOT / "clients" / "node" / "aeonnx.mjs")),
        fuzz=("node", str(ROOT / "clients" / "node" / "fuzz.mjs")),
        shipped=_NODE,
        besides="Node",
    ),
    "web": Language(
        folder="web",
        tools=("npm", "chromium"),
        fetch=[("npm", "install", "--ignore-scripts")],
        build=[],
        lint=[
            (*_NPX, "tsc", "-p", "jsconfig.json"),
            (*_NPX, "prettier", "--list-different", "page/*.mjs"),
        ],
        program=(),
        fuzz=(),
        shipped=[],
        besides="a browser",
    ),
}


PROGRAMS: Mapping[str, Language] = {name: it for name, it in LANGUAGES.items() if it.program}
"""The clients with a command line: all but the browser page, which aeonnx.tools.web builds."""


def missing_tools(language: Language) -> list[str]:
    """The programs that this machine lacks for it."""
    return [tool for tool in language.tools if which(tool) is None]


def is_fetched(name: str) -> bool:
    """Whether the packages of a client were fetched here."""
    return _stamp(name).exists()


def fetch(name: str) -> None:
    """Ask the registries for the packages of a client, and remember that they are there.

    Raises:
        RuntimeError: a command failed; with its words.
    """
    language = LANGUAGES[name]
    BUILT.mkdir(parents=True, exist_ok=True)
    for command in language.fetch:
        _succeed(language, command)
    _stamp(name).touch()


def build(name: str) -> None:
    """Make the program of a client, unless it was made of these sources; offline.

    Raises:
        RuntimeError: a command failed; with its words.
    """
    language, stamp = LANGUAGES[name], BUILT / f"{name}.built"
    folder = ROOT / "clients" / language.folder
    sources = [path for path in folder.rglob("*") if "node_modules" not in path.parts]
    wanted = digest(sources, str(language.build), str(language.environment))
    made = all(Path(word).exists() for word in language.program if word.startswith(str(BUILT)))
    if made and stamp.exists() and stamp.read_text() == wanted:
        return
    for command in language.build:
        _succeed(language, command)
    stamp.write_text(wanted)


def findings(name: str) -> str:
    """What the linters find in the sources of a client; nothing if they are clean."""
    language = LANGUAGES[name]
    found = []
    for command in language.lint:
        done = run(command, language.environment, 600, ROOT / "clients" / language.folder)
        if done.returncode or done.stdout.strip():
            found.append(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    return "\n".join(found)


def run(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    seconds: float = 120,
    here: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a client's program to its end, its words kept."""
    return subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        cwd=here,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
    )


def _succeed(language: Language, command: Command) -> None:
    done = subprocess.run(
        command,
        cwd=ROOT / "clients" / language.folder,
        env={**os.environ, **language.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} in clients/{language.folder}:\n{done.stdout}")


def _stamp(name: str) -> Path:
    return BUILT / f"{name}.fetched"
