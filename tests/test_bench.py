"""`aeonnx bench`: every cell is there, its figures agree with each other, wrong values are told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from click.testing import Result
from PIL import Image

import aeonnx as package
from aeonnx._util import optional
from aeonnx.errors import MissingExtraError, UsageError
from aeonnx.exporting import ExportOptions, Source, export
from aeonnx.tools.bench import BenchOptions, bench
from aeonnx.tools.bench.contenders import Contender, bare, inputs_of, ours
from aeonnx.tools.bench.measure import measure
from aeonnx.tools.bench.options import Case
from aeonnx.tools.bench.peak import measure_peak
from tests.support import Shared, graph_file

Cli = Callable[..., Result]
Maker = Callable[..., Path]

CPU = "CPUExecutionProvider"
FAST = ("--seconds", 0.02, "--threads", 1)


@pytest.fixture
def bundle(shared: Shared, run_of: Maker) -> Path:
    """Encoder and decoder in fp32 and int8, with floats and pixels, and a sampler."""
    parts = ("encoder", "decoder", "sampler")
    options = {"precisions": ("int8",), "io": ("uint8",)}
    return shared(
        "bench",
        lambda folder: export(ExportOptions("vae", folder, run_of(), parts, **options)),
    )


def cells(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)["cells"]
    return found


def test_every_cell_is_measured_and_agrees_with_itself(aeonnx: Cli, bundle: Path) -> None:
    wanted = ("--part", "decoder", "--part", "sampler", "--batch", 1, "--batch", 40)
    result = aeonnx("bench", bundle, *FAST, *wanted, "--json")
    found = cells(result)
    contents = package.load(bundle).manifest.parts
    expected = {
        (part, variant, batch, CPU, 1)
        for part in ("decoder", "sampler")
        for variant in contents[part]
        for batch in (1, 40)
    }
    keys = ("part", "variant", "batch", "provider", "threads")
    assert {tuple(cell[key] for key in keys) for cell in found} == expected
    assert len(found) == len(expected) == 10
    for cell in found:
        assert set(cell["timings"]) == {"aeonnx", "onnxruntime"}
        assert set(cell["ratios"]) == {"onnxruntime"}
        assert cell["not_measured"] == {}
        for timing in cell["timings"].values():
            assert timing["calls"] >= 9
            assert 0 < timing["p50_ms"] <= timing["p99_ms"]
            assert timing["load_ms"] > 0
            assert timing["first_ms"] > 0
            slowest = cell["batch"] / timing["p50_ms"] * 1e3
            assert 0.02 * slowest < timing["rows_per_s"] < 3 * slowest
        ratio = cell["ratios"]["onnxruntime"]
        assert 0 < ratio["low"] <= ratio["median"] <= ratio["high"]
        counted = contents[cell["part"]][cell["variant"]].macs
        assert counted == contents[cell["part"]]["fp32"].macs
        done = 2 * counted * cell["timings"]["aeonnx"]["rows_per_s"]
        assert cell["flops_share"] == pytest.approx(done / cell["peak"]["flops"])
        assert cell["bytes_share"] is None
    lines = result.stderr.splitlines()
    assert lines[0] == "1/10  decoder (fp32), batch 1, CPU, threads 1"
    assert len(lines) == 10


def test_the_table_begins_with_the_ratio_and_names_the_machine(aeonnx: Cli, bundle: Path) -> None:
    wanted = ("--part", "decoder", "--precision", "int8", "--batch", 2)
    result = aeonnx("bench", bundle, *FAST, *wanted)
    assert result.exit_code == 0, result.output
    head, row, _, below, opening, *rest = result.stdout.splitlines()
    names = " ".join(head.split())
    assert names == "vs onnxruntime part variant batch p50 ms p99 ms rows/s of peak"
    ratio, _, part, variant, batch, *_ = row.split()
    assert float(ratio.removesuffix("x")) > 0
    assert (part, variant, batch) == ("decoder", "int8", "2")
    assert "aeonnx: load + first ms  onnxruntime: load + first ms" in below
    assert opening.split()[:3] == ["decoder", "int8", "2"]
    text = "\n".join(rest)
    assert "above 1, aeonnx is faster" in text
    assert f"onnxruntime {ort.__version__}" in text
    assert "GFLOP/s (float32, CPU, threads 1)" in text


def test_batches_that_take_long_are_left_out_unless_they_are_asked_for(
    aeonnx: Cli, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = ("bench", bundle, *FAST, "--part", "decoder", "--precision", "fp32")
    all_three = aeonnx(*wanted)
    assert "was left out" not in all_three.stdout
    for limit in ("_MOST_SECONDS", "_MOST_BYTES"):
        with monkeypatch.context() as patch:
            patch.setattr(f"aeonnx.tools.bench.run.{limit}", 0)
            result = aeonnx(*wanted)
            assert result.exit_code == 0, result.output
            for batch in ("32", "1,024"):
                assert f"decoder (fp32), batch {batch} was left out: a call would" in result.stdout
            assert result.stdout.rstrip().count("To measure it, give --batch") == 2
            found = json.loads(aeonnx(*wanted, "--json").stdout)
            assert [cell["batch"] for cell in found["cells"]] == [1]
            assert len(found["left_out"]) == 2
            asked = cells(aeonnx(*wanted, "--batch", 1, "--batch", 32, "--json"))
            assert [cell["batch"] for cell in asked] == [1, 32]


@pytest.mark.usefixtures("few_rows")
def test_the_sizes_at_which_a_graph_of_any_size_ran_are_told(aeonnx: Cli) -> None:
    network = torch.nn.Conv2d(1, 1, 3, padding=1)
    x = np.zeros((1, 1, 24, 16), np.float32)
    package.export(denoiser=network, example=x, model="any", output="any")
    result = aeonnx("bench", "any", *FAST, "--batch", 2)
    assert "batch  sizes  p50 ms" in result.stdout
    assert " 2  24x16 " in result.stdout
    (cell,) = cells(aeonnx("bench", "any", *FAST, "--batch", 2, "--json"))
    assert cell["sizes"] == {"height": 24, "width": 16}


def test_threads_are_a_column_where_there_are_several(aeonnx: Cli, bundle: Path) -> None:
    wanted = ("--part", "decoder", "--precision", "fp32", "--batch", 2, "--threads", 2)
    result = aeonnx("bench", bundle, *FAST, *wanted)
    head, one, two, *_ = result.stdout.splitlines()
    assert "batch  threads  p50 ms" in head
    assert [line.split()[5] for line in (one, two)] == ["1", "2"]
    assert "threads 1), " in result.stdout


def test_torch_takes_part_with_its_checkpoint(bundle: Path, run_of: Maker) -> None:
    options = {"batches": (2,), "threads": (1,), "seconds": 0.02, "checkpoint": run_of()}
    before = torch.get_num_threads()
    found = bench(BenchOptions(bundle, ("encoder",), ("fp32",), **options))
    (cell,) = found.cells
    # Without a C++ compiler torch.compile says so.
    named = [*cell.timings, *cell.not_measured]
    assert named == ["aeonnx", "onnxruntime", "torch", "torch.compile"]
    assert [*cell.ratios] == [*cell.timings][1:]
    assert f"torch {torch.__version__.split('+')[0]}" in found.machine
    assert torch.get_num_threads() == before


def test_what_torch_cannot_do_is_told(
    aeonnx: Cli, bundle: Path, run_of: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import torch._inductor.config as config

    monkeypatch.setattr(config.cpp, "cxx", ("no-such-compiler",))
    monkeypatch.setattr(config, "force_disable_caches", True)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    wanted = ("--part", "decoder", "--precision", "fp32", "--batch", 3, "--checkpoint", run_of())
    (cell,) = cells(aeonnx("bench", bundle, *FAST, *wanted, "--json"))
    assert set(cell["timings"]) == {"aeonnx", "onnxruntime", "torch"}
    assert "compiler" in cell["not_measured"]["torch.compile"]
    result = aeonnx("bench", bundle, *FAST, "--part", "sampler", "--checkpoint", run_of())
    assert " ".join(result.stdout.split()[:6]) == "vs onnxruntime vs torch vs torch.compile"
    assert "torch was not measured: torch has no sampler: it is made at export" in result.stdout


def test_contenders_give_the_same(bundle: Path, run_of: Maker) -> None:
    from aeonnx.tools.bench._torch import torch_contenders

    opened = package.load(bundle)
    for part, variant in (("encoder", "fp32"), ("decoder", "fp32-uint8"), ("sampler", "fp32")):
        case = Case(part, variant, 37, CPU, 1)
        inputs = inputs_of(opened, opened.variant(part, variant), case.batch)
        own = ours(opened, case, inputs).open()()
        plain = bare(opened, case, inputs).open()()
        assert isinstance(own, dict)
        assert isinstance(plain, list)
        for one, other in zip(own.values(), plain, strict=True):
            assert len(one) == 37
            np.testing.assert_array_equal(one, other)
        with torch_contenders(opened, Source(run_of()), case) as (eager, _):
            if part == "encoder":
                outputs = eager.open()()
                assert isinstance(outputs, list)
                np.testing.assert_allclose(outputs[0], plain[0], atol=1e-4)


def test_inputs_are_golden_rows_over_and_over(bundle: Path) -> None:
    opened = package.load(bundle)
    variant = opened.variant("encoder")
    golden = opened.read_golden(variant.golden[0].inputs["x"])
    found = inputs_of(opened, variant, 3 * len(golden) + 1)["x"]
    np.testing.assert_array_equal(found[len(golden) : 2 * len(golden)], golden)
    np.testing.assert_array_equal(found[-1], golden[0])


def test_contenders_take_turns_and_the_slower_one_is_the_slower_one() -> None:
    order: list[str] = []

    def waiting(name: str, loops: int) -> Contender:
        def call() -> object:
            if order[-1:] != [name]:
                order.append(name)
            return sum(range(loops))

        return Contender(name, lambda: call)

    timings, ratios, reasons = measure(
        [waiting("aeonnx", 2_000), waiting("slow", 20_000)], batch=4, threads=1, seconds=0.2
    )
    assert reasons == {}
    assert 5 < ratios["slow"].median < 20
    assert timings["slow"].p50_ms > 4 * timings["aeonnx"].p50_ms
    assert len(order) >= 13  # 4 openings and 9 rounds, with two neighbours alike at times
    firsts = {tuple(order[place : place + 2]) for place in range(0, len(order) - 1)}
    assert {("aeonnx", "slow"), ("slow", "aeonnx")} <= firsts


def test_a_fixed_batch_is_the_one_that_is_measured(
    aeonnx: Cli, tmp_path: Path, run_of: Maker
) -> None:
    export(ExportOptions("vae", tmp_path / "fixed", run_of(), ("decoder",), static_batch=4))
    assert [cell["batch"] for cell in cells(aeonnx("bench", "fixed", *FAST, "--json"))] == [4]
    result = aeonnx("bench", "fixed", *FAST, "--batch", 8)
    assert result.exit_code == 2
    assert "graphs of fixed are fixed to 4 rows, got 8: leave --batch out" in result.stderr


def test_the_chart_is_a_picture_that_is_not_replaced_unasked(
    aeonnx: Cli, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = ("--part", "decoder", "--precision", "fp32", "--batch", 1, "-o", "chart.png")
    result = aeonnx("bench", bundle, *FAST, *wanted)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "chart.png"
    with Image.open("chart.png") as picture:
        assert picture.width > 800
        assert len(picture.convert("RGB").getcolors(2**20) or ()) > 50
    again = aeonnx("bench", bundle, *FAST, *wanted)
    assert again.exit_code == 1
    assert "chart.png exists already: pass --force to replace it" in again.stderr
    assert aeonnx("bench", bundle, *FAST, *wanted, "--force").exit_code == 0
    monkeypatch.setattr(optional, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"a chart needs matplotlib.*'aeonnx\[train\]'"):
        bench(BenchOptions(bundle, chart=Path("other.png")))


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("--part", "encodr"), 2, "unknown part 'encodr'. Did you mean 'encoder'? Known: decoder,"),
        (("--precision", "int4"), 2, "unknown variant 'int4'. Did you mean 'int8'?"),
        (
            ("--part", "sampler", "--precision", "int8"),
            2,
            "unknown variant of sampler 'int8'. Known: fp32.",
        ),
        (("--batch", 0), 2, "'--batch': 0 is not in the range"),
        (("--threads", -1), 2, "'--threads': -1 is not in the range"),
        (("--seconds", 0), 2, "'--seconds': 0.0 is not in the range"),
        (("--seconds", "nan"), 2, "--seconds: expected a number above 0, got nan"),
        (("-o", "chart.jpg"), 2, "chart.jpg: expected a name that ends in .png (a chart)"),
        (("--provider", "cdua"), 2, "unknown provider 'cdua'. Did you mean 'cuda'?"),
        (("--checkpoint", "none"), 1, "no checkpoint at none. Train one with: aeonnx train"),
    ],
)
def test_wrong_values_are_told(
    aeonnx: Cli, bundle: Path, arguments: tuple[object, ...], code: int, text: str
) -> None:
    result = aeonnx("bench", bundle, *arguments)
    assert result.exit_code == code
    assert text in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"batches": (0,)}, "--batch: expected 1 or more, got 0"),
        ({"threads": (-1,)}, "--threads: expected 1 or more, got -1"),
        ({"seconds": 0.0}, "--seconds: expected a number above 0, got 0"),
    ],
)
def test_wrong_values_are_told_to_programs_too(options: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        bench(BenchOptions(Path("anything"), **options))


def test_a_missing_graph_stops_before_anything_is_measured(
    aeonnx: Cli, bundle: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy")
    graph_file(copy, "encoder").unlink()
    result = aeonnx("bench", copy, *FAST)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert "encoder." in line
    assert "is missing" in line


def test_the_checkpoint_of_another_model_is_refused(
    aeonnx: Cli, bundle: Path, run_of: Maker
) -> None:
    other = aeonnx("bench", bundle, "--checkpoint", run_of(seed=1))
    assert other.exit_code == 1
    assert f"{bundle} was not exported from {run_of(seed=1)}: its checkpoint id is" in other.stderr


def test_the_peak_is_one_that_a_machine_can_have() -> None:
    peak = measure_peak(CPU, 1, "float32")
    assert 1e9 < peak.flops < 1e13
    assert peak.bytes_per_s is None
    faster = replace(peak, flops=2 * peak.flops, bytes_per_s=1e9)
    assert faster.or_better(None) == faster
    assert faster.or_better(peak) == peak.or_better(faster) == faster
