"""What a graph may be off by: functions whose errors are known, instead of graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from aeonnx.bundle import TensorSpec
from aeonnx.exporting.verify.probes import EDGE, RANDOM, REAL, Rows, probes
from aeonnx.exporting.verify.runs import ILL_CONDITIONED, Compared, compare_runs
from aeonnx.models import Part
from aeonnx.runtime.session import Array

X = TensorSpec("x", ("batch", 8), range=(0.0, 1.0))
UNBOUNDED = TensorSpec("y", ("batch", 8))
Function = Callable[[Array], Array]


@dataclass(frozen=True)
class Known:
    """A truth whose float32 errors are given."""

    error: Function  # of float32, absolute
    simulated: Function  # the same, of the simulation

    def double(self, inputs: dict[str, Array]) -> dict[str, Array]:
        return {"y": inputs["x"].astype(np.float64)}

    def single(self, inputs: dict[str, Array]) -> dict[str, Array]:
        return {"y": inputs["x"] + self.error(inputs["x"])}

    def perturbed(self, inputs: dict[str, Array], draw: int = 0) -> dict[str, Array]:
        return {"y": inputs["x"] + self.simulated(inputs["x"]) * (-1) ** draw}


def judged(
    error: Function,
    graph: Function,
    y: TensorSpec = UNBOUNDED,
    simulated: Function | None = None,
) -> Compared:
    part = Part(None, (X,), (y,))  # type: ignore[arg-type]  # no module runs

    def run(inputs: dict[str, Array]) -> dict[str, Array]:
        return {"y": (inputs["x"] + graph(inputs["x"])).astype(np.float32)}

    return compare_runs("p", part, run, Known(error, simulated or error), probes((X,), {}))


def constant(value: float) -> Function:
    return lambda x: np.full(x.shape, value)


def at_edges(value: float, elsewhere: float) -> Function:
    """An error where all values of a row are alike, and another elsewhere."""
    return lambda x: np.where(np.ptp(x, axis=1, keepdims=True) == 0, value, elsewhere) + 0 * x


def test_the_distance_from_float64_counts_beside_that_from_float32() -> None:
    # Float32 torch is 1e-5 above the truth: 3.9e-5 from it is 4.9e-5 from the truth.
    assert judged(constant(1e-5), constant(3.9e-5)).passed
    report = judged(constant(1e-5), constant(4.9e-5))
    assert "p.y (fp32): max abs 3.9e-05" in report.failures[0]
    assert "tolerance 4e-05; it would pass at 4.9e-05" in report.failures[0]


def test_float32_torch_counts_beside_float64() -> None:
    report = judged(constant(-1e-5), constant(3.9e-5))
    assert "it would pass at 4.9e-05" in report.failures[0]


@pytest.mark.parametrize("width", [1.0, 2.0, 255.0])
def test_an_output_with_a_range_has_a_ceiling(width: float) -> None:
    bounded = TensorSpec("y", ("batch", 8), range=(-1.0, width - 1))
    lost = 0.3e-6 * width  # 4 times that is over 1e-6 of the width

    def shrunk(value: float) -> Function:
        return lambda x: value * (1 - 2 * x)  # stays inside the range

    wrong = 1.1e-6 * width
    assert judged(constant(lost), constant(wrong)).passed
    if width == 1.0:
        bounded = TensorSpec("y", ("batch", 8), range=(-0.5, 1.5))
        lost, wrong = 0.3e-6 * 2, 1.1e-6 * 2
    assert judged(shrunk(lost), shrunk(0.9 * wrong), bounded).passed
    report = judged(shrunk(lost), shrunk(wrong), bounded)
    assert "it would pass at" in report.failures[0]


def test_edge_inputs_do_not_widen_what_random_ones_are_held_to() -> None:
    rough_edges = at_edges(1e-4, 1e-7)
    assert judged(rough_edges, at_edges(2e-4, 2e-7)).passed
    report = judged(rough_edges, at_edges(0, 1e-5))
    assert not report.passed
    assert all("on random inputs" in failure or "on edge" in failure for failure in report.failures)
    assert [check.inputs for check in report.checks if not check.passed] == [RANDOM]
    tolerances = {check.inputs: check.tolerance for check in report.checks}
    assert tolerances[EDGE] > 100 * tolerances[RANDOM]


def test_a_few_ill_conditioned_inputs_are_judged_apart() -> None:
    report = judged(at_edges(0.1, 1e-7), at_edges(0.2, 2e-7))
    assert report.passed
    assert report.kinds.count(ILL_CONDITIONED) == 3  # all 0, all 0.5 and all 1
    assert {check.inputs for check in report.checks} == {RANDOM, EDGE, ILL_CONDITIONED}
    assert not judged(at_edges(0.1, 1e-7), at_edges(0.5, 2e-7)).passed


def test_many_ill_conditioned_inputs_are_refused_in_words() -> None:
    report = judged(constant(0.1), constant(0.0))
    assert not report.passed
    assert report.failures[0].startswith(
        "p.y: 48 of 48 random inputs are ill-conditioned: there float32 torch is off by up to 0.1 "
        "from float64 torch"
    )
    assert "so that a right graph cannot be told from a wrong one" in report.failures[0]


def codes_of(flipped: Function) -> Callable[..., dict[str, Array]]:
    """Codes 0 to 31 of x, and others of the rows where `flipped` is not 0."""

    def run(inputs: dict[str, Array], *_: object, **__: object) -> dict[str, Array]:
        x = inputs["x"]
        return {"y": np.clip(np.floor(x * 31) + flipped(x), 0, 31).astype(np.int64)}

    return run


def judged_codes(float32: Function, graph: Function) -> Compared:
    y = TensorSpec("y", ("batch", 8), "int64", range=(0.0, 31.0), kind="codes")
    part = Part(None, (X,), (y,))  # type: ignore[arg-type]  # no module runs
    reference = SimpleNamespace(
        single=codes_of(constant(0)), double=codes_of(constant(0)), perturbed=codes_of(float32)
    )
    return compare_runs("p", part, codes_of(graph), reference, probes((X,), {}))


def test_codes_are_equal_where_float32_keeps_them() -> None:
    assert judged_codes(constant(0), constant(0)).passed
    assert not judged_codes(constant(0), at_edges(1, 0)).passed
    # Among equal values, as of constant inputs, float32 chooses any.
    report = judged_codes(at_edges(12, 0), at_edges(3, 0))
    assert report.passed
    assert report.kinds.count(ILL_CONDITIONED) == 2  # all 0 and all 0.5
    assert {check.inputs for check in report.checks if check.tolerance < 1} == {RANDOM, EDGE}
    for graph in (constant(1), lambda x: (x < 0.001) & (np.ptp(x, axis=1, keepdims=True) > 0)):
        assert not judged_codes(at_edges(12, 0), graph).passed
    assert (
        "48 of 48 random inputs are ill-conditioned"
        in (judged_codes(constant(1), constant(0)).failures[0])
    )


def test_an_output_that_is_always_the_same_is_not_ill_conditioned() -> None:
    part = Part(None, (X,), (UNBOUNDED,))  # type: ignore[arg-type]  # no module runs

    def flat(by: float) -> Callable[..., dict[str, Array]]:
        return lambda inputs, **_: {"y": np.full((len(inputs["x"]), 8), 0.3 + by, np.float32)}

    reference = SimpleNamespace(single=flat(1e-7), double=flat(0), perturbed=flat(-1e-7))
    rows = probes((X,), {})
    assert compare_runs("p", part, flat(2e-7), reference, rows).passed
    assert not compare_runs("p", part, flat(1e-5), reference, rows).passed


def test_nothing_is_right_where_torch_gives_no_number() -> None:
    def nan_at_0(x: Array) -> Array:
        return np.where((x == 0).all(1, keepdims=True), np.nan, 1e-7) + 0 * x

    assert not judged(nan_at_0, constant(1e-7)).passed


def test_eager_torch_that_mixes_rows_is_refused() -> None:
    def mixed(x: Array) -> Array:
        return 0.5 * x.mean(0, keepdims=True) + 0 * x if len(x) > 1 else 0 * x

    report = judged(mixed, mixed, simulated=constant(1e-7))
    assert any(
        "eager torch: a row alone and the same row in a batch of" in f for f in report.failures
    )


def test_the_batch_of_a_difference_is_named() -> None:
    def at_7(x: Array) -> Array:
        return np.full(x.shape, 1e-3 if len(x) == 7 else 0.0)

    report = judged(constant(1e-7), at_7)
    assert "on random inputs at batch 7" in report.failures[0]


def test_kinds_stay_with_their_rows() -> None:
    real = np.random.default_rng(0).random((5, 8)).astype(np.float32)
    rows = probes((X,), {"x": real})
    assert [rows.kinds.count(kind) for kind in (REAL, RANDOM, EDGE)] == [5, 48, 4]
    part = Part(None, (X,), (UNBOUNDED,))  # type: ignore[arg-type]
    chosen = rows.first_of(part, (EDGE, REAL), 2)
    assert chosen.kinds == (EDGE, EDGE, REAL, REAL)
    assert np.array_equal(chosen.values["x"][2:], real[:2])


def test_inputs_that_go_together_have_as_many_rows_of_each_kind() -> None:
    z = TensorSpec("z", ("batch", 3))
    label = TensorSpec("label", ("batch",), dtype="int64", range=(0, 9))
    real = {"z": np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)}
    rows = probes((z, label), real)
    assert isinstance(rows, Rows)
    assert len(rows.values["z"]) == len(rows.values["label"]) == len(rows.kinds)
    assert rows.values["label"].dtype == np.int64
    assert set(rows.values["label"].tolist()) == set(range(10))
    assert np.array_equal(rows.values["z"][:5], real["z"])
