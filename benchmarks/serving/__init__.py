"""The parts of `benchmarks/serve.py`: servers, generators of load, and what is measured."""
