"""Training of the mapper of any domain and of all networks of the drawn domain."""
