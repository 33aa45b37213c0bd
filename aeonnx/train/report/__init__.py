"""What a run shows: plots, pictures, TensorBoard events."""
