"""The public HTTP endpoints."""
