"""Modules from elsewhere, and what they are asked before they are captured."""
