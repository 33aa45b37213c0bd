"""`python -m aeonnx` is the command line."""

import os
import sys


def _leave_working_directory() -> None:
    """Take it out of the places of modules: its `numpy.py` is no part of aeonnx.

    `python -m` puts it first. What PYTHONPATH names comes after, and stays.
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
