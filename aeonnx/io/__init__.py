"""Reads and writes pictures and arrays, for training, calibration and every verb.

Needs numpy, and pillow for pictures. docs/pictures.md lists the rules in a table.
"""
