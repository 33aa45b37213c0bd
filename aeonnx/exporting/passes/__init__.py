"""Passes that make new graphs from a graph: pixels, reduced precision, the sampler."""
