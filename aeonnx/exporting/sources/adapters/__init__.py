"""Adapters of `aeonnx export --from NAME:LOCATION`, one file for each source.

Each has a function `load(location, options)` that returns an `nn.Module` with a method `parts()`;
its library is imported only when it is asked for. Other distributions add a source by an entry
point of the group `aeonnx.sources`, whose object is such a function: docs/sources.md.
"""
