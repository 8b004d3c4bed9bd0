"""Rendered portraits: parameters, renderer, captions and sample people."""
