"""Faults that exporters have made in graphs, and tools that detect them; see seeded_faults.py."""

from __future__ import annotations

from faults import of_activations, of_layers, of_norms, of_numbers, of_shapes
from faults.kinds import FAULTS, Fault
from faults.networks import NETWORKS, Subject, subject

__all__ = [
    "FAULTS",
    "NETWORKS",
    "Fault",
    "Subject",
    "of_activations",
    "of_layers",
    "of_norms",
    "of_numbers",
    "of_shapes",
    "subject",
]
