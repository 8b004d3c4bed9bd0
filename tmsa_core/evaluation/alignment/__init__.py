"""Studies of the alignment of CLIP space and W+."""
