"""Training of all networks of the drawn domain."""
