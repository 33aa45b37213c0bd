"""The library logs to `logging.getLogger("aeonnx")`, and prints nothing."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from click.testing import Result

import aeonnx
from aeonnx import checkpoint
from aeonnx.errors import DeviceMemoryError
from aeonnx.io.readers import Reading
from aeonnx.runtime import providers
from aeonnx.runtime.file_ops import run_on_files
from aeonnx.runtime.runner import PartRunner

Maker = Callable[..., Path]


def lines(caplog: pytest.LogCaptureFixture, level: int = logging.INFO) -> list[str]:
    """What the library logged at this level."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("aeonnx") and record.levelno == level
    ]


@pytest.fixture(autouse=True)
def info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="aeonnx")


def test_loading_and_opening(bundle_of: Maker, caplog: pytest.LogCaptureFixture) -> None:
    folder = bundle_of()
    caplog.clear()
    bundle = aeonnx.load(folder, ["cpu"])
    parts = "decoder, encoder, reconstructor, sampler, scorer"
    assert lines(caplog) == [f"loaded {folder}: vae, {parts}"]
    bundle.generate(1)
    bundle.generate(1)
    assert lines(caplog)[1:] == ["opened decoder (fp32) on CPUExecutionProvider"]


def test_autotuning(
    variants: Path,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AEONNX_CACHE", str(tmp_path))
    for source in ("measured", "cached"):
        caplog.clear()
        bundle = aeonnx.load(variants, ["cpu"], precision="auto")
        bundle.generate(2000)
        said = lines(caplog)
        chosen = "int8" if "decoder (int8)" in repr(bundle) else "fp32"
        assert f"decoder: precision auto chose {chosen}" in said
        best = [line for line in said if line.startswith("decoder (int8): best at ")]
        assert best
        assert best[0].endswith(f"rows per run ({source})")


class FullDevice:
    """Has memory for 100 rows."""

    def values(self, *_: object) -> list[np.ndarray]:
        raise DeviceMemoryError("full")

    def run_into(self, inputs: dict[str, np.ndarray], _: object) -> None:
        if len(inputs["z"]) > 100:
            raise DeviceMemoryError("full")


def test_a_smaller_batch_after_memory_ran_out(
    bundle_of: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    variant = aeonnx.load(bundle_of()).variant("decoder")
    call = PartRunner("decoder", variant, FullDevice(), lambda: 1024)
    call.output(np.zeros((300, 20), np.float32))
    assert lines(caplog, logging.WARNING) == [
        "decoder: out of memory at 300 rows per run, trying 150",
        "decoder: out of memory at 150 rows per run, trying 75",
    ]


def test_a_fall_back_to_the_cpu(
    bundle_of: Maker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ort.InferenceSession

    def refusing(*given: object, providers: list[tuple[str, object]], **how: object) -> object:
        if providers[0][0] == "CUDAExecutionProvider":
            raise RuntimeError("CUDA failure 2: out of memory ; GPU=0\x1b[31m")
        return real(*given, providers=providers, **how)

    monkeypatch.setattr(providers, "_build_problem", lambda _: None)
    monkeypatch.setattr(ort, "InferenceSession", refusing)
    bundle = aeonnx.load(bundle_of())
    bundle.generate(1)
    (line,) = lines(caplog, logging.WARNING)
    assert line == "CUDA is here but does not run, the CPU is used: CUDA failure 2: out of memory"
    monkeypatch.setattr(providers, "_build_problem", lambda _: "libcuda.so.1 is missing")
    caplog.set_level(logging.DEBUG, logger="aeonnx")
    caplog.clear()
    aeonnx.load(bundle_of()).generate(1)
    assert "CUDA is not used: libcuda.so.1 is missing" in lines(caplog, logging.DEBUG)
    assert not lines(caplog, logging.WARNING)


def test_training_and_export(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "x.npy", images)
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    sizes = {"hidden": [8], "latent_size": 2, "device": "cpu"}
    aeonnx.train("ae", run, data=tmp_path / "x.npy", epochs=2, **sizes)  # type: ignore[arg-type]
    said = lines(caplog)
    assert said[0] == "training on cpu: 2 epochs of 36 images, 0 done"
    assert [line.split(":")[0].split(", ")[1] for line in said[1:3]] == ["epoch 1", "epoch 2"]
    assert "psnr" in said[1]
    assert said[-1] == f"wrote {run}"
    caplog.clear()
    aeonnx.export("ae", bundle, checkpoint=run, parts=["encoder", "decoder"])
    said = lines(caplog)
    assert said[:2] == ["exporting encoder (fp32)", "exporting decoder (fp32)"]
    assert said[-1].startswith(f"wrote {bundle}: encoder, decoder; ")
    assert said[-1].endswith(" checks passed")
    assert capfd.readouterr() == ("", "")


def test_skipped_pictures(denoiser: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from PIL import Image

    (tmp_path / "in").mkdir()
    Image.new("L", (28, 28)).save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b\x1b.png").write_bytes(b"no picture")
    run_on_files(
        aeonnx.load(denoiser),
        "denoise",
        [tmp_path / "in"],
        tmp_path / "out",
        reading=Reading(skip_bad=True),
    )
    (line,) = [line for line in lines(caplog) if line.startswith("skipped: ")]
    assert "is not a readable PNG" in line
    assert "\x1b" not in line


def test_nothing_is_printed_unless_asked(bundle_of: Maker) -> None:
    code = f"""
import logging, aeonnx
bundle = aeonnx.load({str(bundle_of())!r})
bundle.generate(1)
logging.getLogger("aeonnx").warning("a warning")
assert [type(each) for each in logging.getLogger("aeonnx").handlers] == [logging.NullHandler]
"""
    configured = "logging.basicConfig(level='INFO')\n"
    for more, expected in (("", ""), (configured, "INFO:aeonnx.runtime")):
        begin = f"import logging\n{more}{code}"
        done = subprocess.run(
            [sys.executable, "-c", begin], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
        assert done.stderr.startswith(expected)
        assert bool(done.stderr) == bool(expected)


def test_commands_show_what_they_would_not_report(
    run_of: Maker, aeonnx: Callable[..., Result], tmp_path: Path
) -> None:
    model = checkpoint.load(run_of(), "vae").model
    weights = {f"module.{name}": value for name, value in model.state_dict().items()}
    torch.save(weights, tmp_path / "w.pth")
    arguments = ("export", "-m", "vae", "--part", "decoder", "--checkpoint", "w.pth", "-o")
    for folder in ("a", "b"):  # in one process: once each
        result = aeonnx(*arguments, folder)
        assert result.exit_code == 0, result.stderr
        assert result.stderr.count("w.pth: ") == 1
        assert "module." in result.stderr
