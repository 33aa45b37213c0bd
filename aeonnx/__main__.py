"""`python -m aeonnx` is the command line."""

from aeonnx.cli import main

if __name__ == "__main__":
    main()
