"""The blind preference study of Table 1 of the TMSA paper."""
