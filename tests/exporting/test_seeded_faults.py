"""Wrong graphs as exporters have really made them: each is refused as it occurred.

The faults, their networks and what other tools see of them: benchmarks/seeded_faults.py.
"""

from __future__ import annotations

from functools import cache

import pytest
from faults import FAULTS, NETWORKS, Fault, Subject, subject
from faults.judge import judged, outputs_differ, refusals
from onnx import ModelProto

SMALL = ("sequence", "vae-mlp", "vae-conv", "attention", "norms", "skips", "levels", "photographs")
"""The networks, those that are judged soonest first."""


@cache
def network(name: str) -> Subject:
    return subject(name)


def wrong(fault: Fault) -> tuple[Subject, ModelProto]:
    """The first network in which the fault changes an output, and its graph there."""
    for name in SMALL:
        where = network(name)
        graph = fault.apply(where.graph)
        if graph is not None and (fault.scale == "none" or outputs_differ(graph, where)):
            return where, graph
    raise AssertionError(f"{fault.name} has no place in any network")


@pytest.mark.shortened(2)
@pytest.mark.parametrize("name", NETWORKS)
def test_right_graphs_pass(name: str) -> None:
    assert judged(network(name).graph, network(name))


OFTEN = [*FAULTS][::3]
"""What every run of the tests seeds; the others are `slow`, and in the benchmark."""


@pytest.mark.shortened(2)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in OFTEN else pytest.mark.slow) for name in FAULTS]
)
def test_each_fault_is_refused(name: str) -> None:
    where, graph = wrong(FAULTS[name])
    assert not judged(graph, where), f"{name} passes in {where.network}"


def test_a_term_against_log_of_0_is_missed_where_0_is_inside_the_range() -> None:
    """The inputs of `levels` are in [-1, 1]: neither end is 0."""
    where = network("levels")
    graph = FAULTS["term against log(0) or division by 0 deleted"].apply(where.graph)
    assert graph is not None
    assert any("NaN or infinite values" in text for text in refusals(graph, where))


@pytest.mark.shortened(1)
@pytest.mark.parametrize("name", ["bias lost", "dilation lost"])
def test_a_fault_of_no_size_is_the_right_graph(name: str) -> None:
    """Smaller faults are nearer to it, whether they scale a value or the effect."""
    where, _ = wrong(FAULTS[name])
    almost = FAULTS[name].apply(where.graph, 1e-12)
    assert almost is not None
    assert judged(almost, where)
