"""Builds the clients, runs them against fresh bundles, and compares them with Python."""
