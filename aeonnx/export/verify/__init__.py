"""Judging a graph against eager torch: inputs, reference, tolerance, comparison, quality."""
