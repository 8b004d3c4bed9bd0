"""Captions of drawn portraits: phrases, sentences and their choice."""
