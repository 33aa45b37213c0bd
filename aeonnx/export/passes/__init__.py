"""Graphs made from graphs."""
