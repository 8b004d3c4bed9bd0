"""Read, write, resize and annotate images."""
