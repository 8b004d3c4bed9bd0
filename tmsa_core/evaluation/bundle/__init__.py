"""Measurements of one bundle: edits, inversion and sharpness."""
