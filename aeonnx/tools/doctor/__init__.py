"""What this machine can run, what is missing, and the line that mends it.

Standard library only, so that it answers when onnxruntime is missing, doubled or broken: what may
hang or crash is tried in processes of its own.
"""

from aeonnx.tools.doctor._diagnosis import (
    Cpu,
    Diagnosis,
    Driver,
    Gpu,
    Library,
    Tried,
)
from aeonnx.tools.doctor._examine import examine

__all__ = ["Cpu", "Diagnosis", "Driver", "Gpu", "Library", "Tried", "examine"]
