"""Pictures and arrays on disk: one reader for training, calibration and every verb.

numpy; pillow when a picture is read. docs/pictures.md has the rules as a table.
"""
