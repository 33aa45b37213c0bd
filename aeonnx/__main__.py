"""`python -m aeonnx` is the command line."""

import os
import sys

if __name__ == "__main__":
    # Here is the working directory, whose `numpy.py` is no part of aeonnx; PYTHONPATH comes after.
    if not sys.flags.safe_path and sys.path[0] == os.getcwd():
        del sys.path[0]

    from aeonnx.cli import main

    main()
