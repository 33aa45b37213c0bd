"""Faults put into our own source, and the tests that must find them; see code_mutations.py."""
