"""Training of the mapping network, for any domain."""
