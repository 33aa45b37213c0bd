"""Rows through a part: given buffers, pixels, buckets, want of memory, threads, forks, closing."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import aeonnx
from aeonnx.errors import (
    BundleError,
    DeviceMemoryError,
    InputError,
    IntegrityError,
    RunError,
    UnknownNameError,
    UsageError,
)
from aeonnx.io.pixels import to_pixels
from aeonnx.runtime import Session
from aeonnx.runtime.runner import PartRunner
from tests.support import graph_file

Maker = Callable[..., Path]


@pytest.fixture
def vae(bundle_of: Maker) -> aeonnx.Bundle:
    return aeonnx.load(bundle_of(), ["cpu"])


def latents(n: int = 5) -> np.ndarray:
    return np.random.default_rng(n).normal(size=(n, 20)).astype(np.float32)


def test_a_given_buffer_is_filled_and_returned(vae: aeonnx.Bundle) -> None:
    z = latents()
    out = np.full((5, 1, 28, 28), 7, np.float32)
    assert vae.decode(z, out=out) is out
    np.testing.assert_array_equal(out, vae.decode(z))


@pytest.mark.parametrize(
    ("out", "text"),
    [
        ([0.0], r"got a list: make it one with numpy\.empty"),
        (np.empty((4, 1, 28, 28), np.float32), r"got float32 \[4, 1, 28, 28\]"),
        (np.empty((5, 1, 28, 28)), r"got float64 \[5, 1, 28, 28\]"),
        (np.empty((5, 1, 28, 56), np.float32)[..., ::2], r"C-contiguous and writable"),
        (np.frombuffer(bytes(5 * 784 * 4), np.float32).reshape(5, 1, 28, 28), r"writable"),
    ],
)
def test_buffers_that_do_not_fit_are_refused(vae: aeonnx.Bundle, out: Any, text: str) -> None:
    expected = r"decoder: out: expected float32 \[5, 1, 28, 28\].*" + text
    with pytest.raises(InputError, match=expected):
        vae.decode(latents(), out=out)


def test_the_input_is_not_written_over(vae: aeonnx.Bundle) -> None:
    x = np.random.default_rng(0).random((3, 1, 28, 28), dtype=np.float32)
    with pytest.raises(InputError, match="got the input's own memory: pass another array"):
        vae.reconstruct(x, out=x)


@pytest.mark.parametrize("where", ["variants", "bundle_of"])
def test_pixels_are_those_of_the_floats(request: pytest.FixtureRequest, where: str) -> None:
    """With and without a graph that gives pixels."""
    found = request.getfixturevalue(where)
    bundle = aeonnx.load(found() if callable(found) else found, ["cpu"])
    z = latents()
    pixels = bundle.decode(z, pixels=True)
    np.testing.assert_array_equal(pixels, to_pixels(bundle.decode(z)))
    out = np.zeros_like(pixels)
    assert bundle.decode(z, pixels=True, out=out) is out
    np.testing.assert_array_equal(out, pixels)
    np.testing.assert_array_equal(
        bundle.generate(5, seed=3, pixels=True), to_pixels(bundle.generate(5, seed=3))
    )
    if where == "bundle_of":
        with pytest.raises(InputError, match=r"expected uint8 .*, got float32"):
            bundle.decode(z, pixels=True, out=np.zeros(pixels.shape, np.float32))
    else:
        assert "decoder" in repr(bundle)


def test_every_row_is_there_whatever_the_bucket(bundle_of: Maker) -> None:
    z = latents(1100)
    whole = aeonnx.load(bundle_of(), ["cpu"], max_batch=2000).decode(z)
    cut = aeonnx.load(bundle_of(), ["cpu"], max_batch=7).decode(z)
    assert len(whole) == 1100
    np.testing.assert_allclose(cut, whole, atol=1e-6)
    both = aeonnx.load(bundle_of(), ["cpu"], max_batch=300).run("encoder", x=whole)
    mu = aeonnx.load(bundle_of(), ["cpu"], max_batch=300).encode(whole)
    assert both["logvar"].shape == both["mu"].shape == (1100, 20)
    np.testing.assert_array_equal(both["mu"], mu)


class Small:
    """A device whose memory holds so many rows, and that adds 1."""

    def __init__(self, holds: int) -> None:
        self.holds, self.asked = holds, list[int]()

    def values(self, inputs: Mapping[str, np.ndarray], outputs: list[str]) -> list[np.ndarray]:
        buffers = {name: np.empty((len(inputs["z"]), 1, 28, 28), np.float32) for name in outputs}
        self.run_into(inputs, buffers)
        return list(buffers.values())

    def run_into(self, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]) -> None:
        z = inputs["z"]
        self.asked.append(len(z))
        if len(z) > self.holds:
            raise DeviceMemoryError("decoder.onnx failed: Failed to allocate memory")
        for value in outputs.values():
            value[...] = z[:, :1, None, None] + 1


@given(rows=st.integers(1, 3000), holds=st.integers(1, 3000), max_batch=st.integers(1, 3000))
def test_less_is_tried_where_memory_runs_out(
    bundle_of: Maker, rows: int, holds: int, max_batch: int
) -> None:
    variant = aeonnx.load(bundle_of()).variant("decoder")
    device = Small(holds)
    call = PartRunner("decoder", variant, device, lambda: max_batch)
    z = np.arange(rows * 20, dtype=np.float32).reshape(rows, 20)
    for _ in range(2):
        device.asked.clear()
        np.testing.assert_array_equal(call.output(z)[:, 0, 0, 0], z[:, 0] + 1)
    assert max(device.asked) <= holds, "what was too much is not tried again"


def test_want_of_memory_is_told_if_one_row_is_too_much(bundle_of: Maker) -> None:
    variant = aeonnx.load(bundle_of()).variant("decoder")
    call = PartRunner("decoder", variant, Small(0), lambda: 64)
    with pytest.raises(DeviceMemoryError, match="Failed to allocate memory"):
        call.output(latents())


class Full(Small):
    """A device whose results numpy has no memory for."""

    def values(self, inputs: Mapping[str, np.ndarray], outputs: list[str]) -> list[np.ndarray]:
        raise MemoryError(f"{outputs} of {len(inputs['z'])}")


def test_fewer_rows_are_advised_where_there_are_several(bundle_of: Maker) -> None:
    call = PartRunner("decoder", aeonnx.load(bundle_of()).variant("decoder"), Full(0), lambda: 64)
    for run in (call.output, lambda z: call({"z": z})):
        with pytest.raises(DeviceMemoryError) as caught:
            run(latents())
        assert "the arrays of all rows do not fit in memory" in str(caught.value)
        assert "give fewer rows at once, or use aeonnx.runtime.stream." in str(caught.value)
        with pytest.raises(DeviceMemoryError) as caught:
            run(latents(1))
        assert str(caught.value).startswith("decoder: the arrays of one row do not fit in memory (")
        assert "fewer rows" not in str(caught.value)


@pytest.mark.parametrize(
    ("message", "kind", "text"),
    [
        (
            "Failed to allocate memory for requested buffer of size 18758041600",
            DeviceMemoryError,
            r"needs more memory than is free for inputs {'z': \[\d+, 20\]} \(19 GB in one piece\): "
            "give fewer rows at once, or free some memory",
        ),
        (
            "CUDA failure 2: out of memory",
            DeviceMemoryError,
            r"needs more memory than is free .* \(.*CUDA failure 2: out of memory\): give fewer",
        ),
        ("CUDA failure 700: an illegal memory access", RunError, "failed on inputs .*failure 700"),
    ],
)
def test_errors_of_a_device_are_told_in_words(
    bundle_of: Maker,
    monkeypatch: pytest.MonkeyPatch,
    message: str,
    kind: type[Exception],
    text: str,
) -> None:
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail

    bundle = aeonnx.load(bundle_of(), ["cpu"])
    session = bundle.session("decoder")

    def fail(*_: object) -> None:
        raise Fail(message)

    monkeypatch.setattr(session, "_run", fail)
    with pytest.raises(RunError, match=rf"decoder\.\w+\.onnx on CPUExecutionProvider {text}") as e:
        session.run({"z": latents()})
    assert type(e.value) is kind
    with pytest.raises(RunError) as e:
        session.run({"z": latents(1)})
    assert "fewer" not in str(e.value)
    assert str(e.value).endswith("): free some memory.") == (kind is DeviceMemoryError)


def test_an_error_of_a_gpu_says_how_to_go_on(bundle_of: Maker) -> None:
    session = aeonnx.load(bundle_of(), ["cpu"]).session("decoder")
    session.providers = ("CUDAExecutionProvider",)
    error = session.run_error({"z": latents()}, RuntimeError("CUDA failure 700"))
    assert "open the bundle in a new process" in str(error)


def test_many_threads_share_one_bundle(bundle_of: Maker) -> None:
    bundle = aeonnx.load(bundle_of(), ["cpu"], threads=1)
    expected = aeonnx.load(bundle_of(), ["cpu"], threads=1)
    start = threading.Barrier(8)

    def work(seed: int) -> bool:
        start.wait()
        return all(
            np.array_equal(bundle.generate(3, seed), expected.generate(3, seed)) for _ in range(20)
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_closing_while_others_run_and_close_ends_in_words(bundle_of: Maker) -> None:
    bundle = aeonnx.load(bundle_of(), ["cpu"])
    bundle.generate(1)
    start = threading.Barrier(6)

    def work(index: int) -> str:
        start.wait()
        try:
            for _ in range(100):
                bundle.generate(2)
                if index % 3 == 0:
                    bundle.close()
        except BundleError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(6) as pool:
        said = list(pool.map(work, range(6)))
    assert all("was closed: open" in text for text in said), said


def test_a_closed_bundle_says_so(bundle_of: Maker) -> None:
    with aeonnx.load(bundle_of(), ["cpu"]) as bundle:
        bundle.generate(1)
        session = bundle.session("decoder")
    for use in (lambda: bundle.generate(1), lambda: session.run({"z": latents()})):
        with pytest.raises(BundleError, match=r"was closed: open .* again with aeonnx\.load"):
            use()
    bundle.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_is_told_to_open_its_own(bundle_of: Maker) -> None:
    bundle = aeonnx.load(bundle_of(), ["cpu"])
    bundle.generate(1)
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()

    def child() -> None:
        try:
            bundle.generate(1)
        except BundleError as error:
            answers.put(str(error))
        else:
            answers.put("no error")

    process = context.Process(target=child)
    process.start()
    said = answers.get()
    process.join()
    assert "before this process was forked" in said
    assert "call aeonnx.load in the child" in said
    assert len(bundle.generate(1)) == 1, "the parent goes on"


def test_a_graph_swapped_while_running_is_refused_or_not_seen(bundle_copy: Path) -> None:
    bundle = aeonnx.load(bundle_copy, ["cpu"])
    before = bundle.generate(1)
    for part in ("decoder", "encoder"):
        graph_file(bundle_copy, part).write_bytes(b"another graph")
    np.testing.assert_array_equal(bundle.generate(1), before)
    with pytest.raises(IntegrityError, match="is not the file that the manifest names"):
        bundle.encode(np.zeros((1, 1, 28, 28), np.float32))


def test_a_bundle_deleted_while_running_goes_on_with_what_is_open(bundle_copy: Path) -> None:
    import shutil

    bundle = aeonnx.load(bundle_copy, ["cpu"])
    before = bundle.generate(1)
    shutil.rmtree(bundle_copy)
    np.testing.assert_array_equal(bundle.generate(1), before)
    with pytest.raises(IntegrityError, match="is missing, though the manifest names it"):
        bundle.encode(np.zeros((1, 1, 28, 28), np.float32))


def test_warmup_opens_what_it_is_told_to(vae: aeonnx.Bundle) -> None:
    vae.warmup([1, 64], parts=["decoder"])
    assert "decoder (fp32)" in repr(vae)
    assert "encoder (fp32)" not in repr(vae)
    assert repr(vae).endswith("on CPUExecutionProvider)")
    vae.warmup()
    assert "sampler (fp32)" in repr(vae)


def test_settings_out_of_range_are_refused(bundle_of: Maker) -> None:
    with pytest.raises(InputError, match="threads: expected 1 or more, got 0"):
        aeonnx.load(bundle_of(), threads=0)
    with pytest.raises(InputError, match="max_batch: expected 1 or more, got -1"):
        aeonnx.load(bundle_of(), max_batch=-1)
    with pytest.raises(InputError, match=r"threads: expected a whole number, got '2' \(str\)"):
        aeonnx.load(bundle_of(), threads="2")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="threads: expected at most 1024, got 1000000"):
        aeonnx.load(bundle_of(), threads=10**6)
    with pytest.raises(UnknownNameError, match="unknown provider 'cudaa'. Did you mean 'cuda'"):
        aeonnx.load(bundle_of(), providers=["cudaa"])
    for providers in ("cpu", [], [1], [("cpu",)], [("cpu", "fast")], {"cpu": {}}):
        with pytest.raises(UsageError, match="providers: expected "):
            aeonnx.load(bundle_of(), providers=providers)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="load: expected the path of a bundle, got 123"):
        aeonnx.load(123)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="unknown precision 'int4'. Did you mean 'int8'"):
        aeonnx.load(bundle_of(), precision="int4")
    with pytest.raises(UsageError, match="cuda_graph: expected the provider cuda, got 'cpu'"):
        aeonnx.load(bundle_of(), ["cpu"], cuda_graph=True)


def test_threads_are_those_asked_for(bundle_of: Maker) -> None:
    session = Session(graph_file(bundle_of(), "decoder"), ["cpu"], threads=3)
    assert session.opened().get_session_options().intra_op_num_threads == 3
