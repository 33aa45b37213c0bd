"""Compare graphs with eager torch: inputs, reference, tolerance, comparison, quality."""
