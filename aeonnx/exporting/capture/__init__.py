"""Capture a part with torch.export and translate it to an ONNX graph."""
