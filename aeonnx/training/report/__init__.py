"""Reports of a run: plots, pictures, TensorBoard events."""
