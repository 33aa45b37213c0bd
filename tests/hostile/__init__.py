"""Bundles that mean harm, and a limited process that uses them: `python -m tests.hostile`."""
