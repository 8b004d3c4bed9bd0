"""Weight files: manifests, downloads, conversion and loading."""
