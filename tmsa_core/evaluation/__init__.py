"""Measures bundles, compares methods, and studies the alignment of CLIP and StyleGAN."""
