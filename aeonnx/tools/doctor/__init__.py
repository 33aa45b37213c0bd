"""What this machine can run, what is missing, and how to fix it.

Standard library only, so that it works when onnxruntime is missing, installed twice or broken.
Whatever may hang or crash is tried in a process of its own.
"""

from aeonnx.tools.doctor._diagnosis import (
    Cpu,
    Diagnosis,
    Driver,
    Gpu,
    Library,
    ProviderCheck,
)
from aeonnx.tools.doctor._examine import examine

__all__ = ["Cpu", "Diagnosis", "Driver", "Gpu", "Library", "ProviderCheck", "examine"]
