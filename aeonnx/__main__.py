"""Run the command line with `python -m aeonnx`."""

import os
import sys


def _leave_working_directory() -> None:
    """Remove the working directory from sys.path, so that a `numpy.py` in it is not imported.

    `python -m` puts it first. The folders of PYTHONPATH come after it, and stay.
    """
    try:
        here = os.getcwd()
    except FileNotFoundError:  # it was removed meanwhile
        here = ""
    if not sys.flags.safe_path and sys.path[0] == here:
        del sys.path[0]


if __name__ == "__main__":
    _leave_working_directory()

    from aeonnx.cli import main

    main()
