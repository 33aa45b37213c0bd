"""Parts whose rows take long: how many rows are compared, at which sizes, and what is found."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import aeonnx
from aeonnx.bundle import TensorSpec
from aeonnx.errors import GraphError, ParityError
from aeonnx.exporting.plan import with_fixed_batch
from aeonnx.exporting.verify import effort
from aeonnx.exporting.verify.batches import drawn
from aeonnx.exporting.verify.effort import FULL, comparisons, effort_of
from aeonnx.exporting.verify.probes import RANDOM
from aeonnx.models import Part


class Denoiser(nn.Module):
    """Two convolutions; a wrong one where the argument says."""

    def __init__(self, wrong_from: int | None = None, *, rows: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 3, 3, padding=1)
        self.wrong_from, self.rows = wrong_from, rows

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x).relu()
        if self.rows:
            large = x.shape[0] >= 5
        else:
            large = self.wrong_from is not None and x.shape[2] >= self.wrong_from
        if large:
            y = y * (1.0 if self.wrong_from is None else 1.01)
        result: Tensor = self.last(y)
        return result


def fixed(size: int, channels: int = 8) -> Part:
    module = nn.Conv2d(3, channels, 3, padding=1)
    shape = ("batch", 3, size, size)
    out = TensorSpec("y", ("batch", channels, size, size))
    return Part(module, (TensorSpec("x", shape, range=(0.0, 1.0)),), (out,))


@pytest.fixture
def expensive(monkeypatch: pytest.MonkeyPatch) -> None:
    """A budget that makes rows of 32x32 expensive, as those of 256x256 are to large networks."""
    monkeypatch.setattr(effort, "_BUDGET", 2e8)


@pytest.mark.parametrize(("size", "channels"), [(128, 256), (256, 128), (512, 32)])
def test_rows_follow_from_the_multiply_adds_of_a_row(size: int, channels: int) -> None:
    cost = size * size * channels * (3 * 9 + 10)  # a pointwise element counts as 10
    found = effort_of(fixed(size, channels))
    assert found.rows == pytest.approx(1e12 / 20 / cost, rel=0.12)
    assert found == effort_of(fixed(size, channels))  # not a clock


def test_memory_bounds_the_rows_that_run_at_once() -> None:
    assert effort_of(fixed(32)).at_once == 32
    large = effort_of(fixed(512, 128))
    # Input, columns of its patches, and output, 24 bytes each.
    assert large.at_once == pytest.approx(1.5 * 2**30 / (512**2 * (3 + 27 + 128) * 24), abs=1)


@pytest.mark.usefixtures("expensive")
def test_costly_rows_are_few_and_smaller_ones_many(tmp_path: Path) -> None:
    x = torch.rand(1, 3, 32, 32)
    made = aeonnx.export("d", tmp_path / "b", denoiser=Denoiser(), example=x)
    variant = made.manifest.parts["denoiser"]["fp32"]
    rows: dict[tuple[int, ...], int] = {}
    for item in variant.parity["denoised"]:
        sizes = tuple(item.sizes.values())
        rows[sizes] = rows.get(sizes, 0) + item.rows
    assert 2 <= rows[32, 32] < 40
    assert max(rows.values()) > 55
    assert max(rows, key=lambda sizes: rows[sizes]) < (32, 32)
    # The batches are those that ran at the usual sizes.
    assert variant.parity_batches[-1] == rows[32, 32]
    assert variant.activations
    assert variant.activations.units == 8
    assert aeonnx.runtime.verify(aeonnx.load(tmp_path / "b")).passed


@pytest.mark.usefixtures("expensive")
def test_a_branch_on_a_size_is_refused_with_its_axis(tmp_path: Path) -> None:
    x = torch.rand(1, 3, 32, 32)
    text = r"works only for some sizes of height.*test_effort.py.*state in parts\(\) which sizes"
    with pytest.raises(GraphError, match=text):
        aeonnx.export("d", tmp_path / "b", denoiser=Denoiser(20), example=x)
    assert not (tmp_path / "b").exists()


@pytest.mark.usefixtures("expensive")
def test_a_part_of_one_size_is_compared_on_few_rows() -> None:
    (only,) = comparisons(fixed(48))
    assert only.thorough
    assert only.effort.rows < 64
    assert (only.effort.draws, only.effort.edge_draws) == (1, 2)


def test_a_branch_on_a_large_batch_is_compared_above_it(tmp_path: Path) -> None:
    x = torch.rand(1, 3, 16, 16)
    made = aeonnx.export("d", tmp_path / "b", denoiser=Denoiser(rows=True), example=x)
    above = made.manifest.parts["denoiser"]["fp32"].parity["denoised"]
    assert 5 in {item.batch for item in above if item.sizes["height"] == 1}


def test_a_branch_that_computes_something_else_is_refused(tmp_path: Path) -> None:
    x = torch.rand(1, 3, 16, 16)
    with pytest.raises(ParityError) as caught:
        aeonnx.export("d", tmp_path / "b", denoiser=Denoiser(0, rows=True), example=x)
    assert not (tmp_path / "b").exists()
    assert "on random inputs at batch 5, height 1, width 1" in str(caught.value)
    assert "whether the batch is larger than 4, and then computes" in str(caught.value)
    assert "fix the batch with --static-batch" in str(caught.value)


@pytest.mark.parametrize(("batch", "rows"), [(None, 7), (4, 8)])
def test_rounding_is_simulated_for_each_row_in_whole_batches(batch: int | None, rows: int) -> None:
    part = with_fixed_batch(fixed(32), batch)
    places = drawn(part, [RANDOM] * 7, 0, FULL)
    assert sorted(set(places.tolist())) == list(range(7))
    assert len(places) == rows
