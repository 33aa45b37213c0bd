"""Helpers shared by all packages: files, records, processors. Standard library only."""
