"""Tools behind the command line: benchmark, doctor, inspection, demo and web page."""
