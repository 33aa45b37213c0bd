"""A part as torch's program and as ONNX."""
