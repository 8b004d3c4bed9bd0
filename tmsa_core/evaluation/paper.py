"""Numbers printed in Tables 1 to 3 of the TMSA paper.

They were measured on photos of faces. The tables show them next to ours, but do not compare them.
"""

from __future__ import annotations

COLUMNS = ("TediGAN", "StyleCLIP", "CLIP2StyleGAN", "Ours")
METHOD_OF = {  # column -> our method; the paper uses the mapper of StyleCLIP
    "TediGAN": "tedigan",
    "StyleCLIP": "styleclip_mapper",
    "CLIP2StyleGAN": "clip2stylegan",
    "Ours": "tmsa",
}
PREFERENCE = {  # Table 1: share of participants
    "beard": (0.028, 0.249, 0.166, 0.557),
    "male": (0.0, 0.196, 0.139, 0.665),
    "female": (0.0, 0.181, 0.166, 0.653),
    "glasses": (0.0, 0.266, 0.207, 0.527),
    "smile": (0.0, 0.289, 0.121, 0.59),
    "kid": (0.042, 0.207, 0.107, 0.644),
}
IDENTITY = {  # Table 2
    "beard": (0.79, 0.72, 0.58, 0.89),
    "male": (0.81, 0.69, 0.49, 0.86),
    "female": (0.78, 0.68, 0.51, 0.84),
    "glasses": (0.76, 0.71, 0.54, 0.88),
    "smile": (0.81, 0.78, 0.61, 0.92),
    "kid": (0.72, 0.73, 0.60, 0.76),
}
CLIP_ACCURACY = {  # Table 3
    "beard": (0.31, 0.88, 0.86, 0.94),
    "male": (0.42, 0.90, 0.88, 0.96),
    "female": (0.55, 0.89, 0.91, 0.97),
    "glasses": (0.22, 0.99, 0.92, 0.99),
    "smile": (0.43, 0.87, 0.88, 0.94),
    "kid": (0.26, 0.82, 0.82, 0.96),
}
