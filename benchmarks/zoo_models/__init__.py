"""The models of `benchmarks/zoo.py`: each library's own classes, small and with random weights."""
