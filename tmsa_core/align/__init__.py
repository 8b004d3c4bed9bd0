"""Find faces, cut aligned crops, and paste edited crops back."""

from tmsa_core.align.crop import align_crop, face_quad
from tmsa_core.align.paste import paste_back

__all__ = ["align_crop", "face_quad", "paste_back"]
