"""The renderer's parts: shapes, colours, and what is drawn of them."""
