"""Captions of rendered portraits: the grammar of phrases, sentences, and their random choice."""
