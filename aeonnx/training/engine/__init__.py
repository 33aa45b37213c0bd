"""The training engine: planning, the training loop, saving and resuming."""
