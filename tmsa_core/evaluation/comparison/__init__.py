"""Comparison of all methods: run, results, tables and figures."""
