"""CLIP (Radford et al. 2021) through open_clip: images and texts in one space of unit vectors.

The preprocessing belongs to the weights: resize, then CLIP's mean and standard deviation. It is
differentiable, and training and inference share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from open_clip import create_model
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from safetensors import SafetensorError
from torch import Tensor, nn

from tmsa_core.errors import BundleError
from tmsa_core.text.tokenizer import CompactTokenizer, FullTokenizer, Tokenizer

MEAN = (0.48145466, 0.4578275, 0.40821073)  # per RGB channel in [0,1]; OpenAI's, for all models
STD = (0.26862954, 0.26130258, 0.27577711)


class Clip(nn.Module):
    """A CLIP with the tokenizer and the preprocessing that belong to its weights.

    Args:
        model: open_clip's network; its state dict is found under ``model.``.
        tokenizer: Its tokenizer.
        size: Side S in pixels of its images.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: CLIP, tokenizer: Tokenizer, size: int) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.model = model
        self.size = size
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    def preprocess(self, images: Tensor) -> Tensor:
        """(B,3,H,W) in [-1,1] -> (B,3,S,S) normalised for the image tower; differentiable."""
        if images.shape[-2:] != (self.size, self.size):
            images = F.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)
        return ((images + 1) / 2 - self.mean) / self.std

    def embed_images(self, images: Tensor) -> Tensor:
        """Image encoder E_I: (B,3,H,W) in [-1,1] -> (B,embed_dim) unit vectors."""
        return F.normalize(self.model.encode_image(self.preprocess(images)).float(), dim=1)

    def embed_tokens(self, tokens: Tensor) -> Tensor:
        """Text encoder E_T: (B,context_length) int64 token ids -> (B,embed_dim) unit vectors."""
        return F.normalize(encode_text(self.model, tokens).float(), dim=1)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Text encoder E_T: N texts -> (N,embed_dim) unit vectors."""
        device = self.model.positional_embedding.device
        return self.embed_tokens(self.tokenizer(list(texts)).to(device))


def encode_text(model: CLIP, tokens: Tensor) -> Tensor:
    """Compute open_clip's ``encode_text`` without the padding after the longest text.

    Attention is causal and the result is read at the end token, which has the highest id, so
    padding has no effect. A prompt fills about a sixth of CLIP's 77 positions.

    Args:
        model: open_clip's network.
        tokens: (B,context_length) int64 token ids.

    Returns:
        (B,embed_dim) embeddings, not normalised.
    """
    ends = tokens.argmax(dim=1)
    length = int(ends.max()) + 1
    x = model.token_embedding(tokens[:, :length]) + model.positional_embedding[:length]
    x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask[:length, :length]))
    return x[torch.arange(len(x), device=x.device), ends] @ model.text_projection


def compact_clip(
    embed_dim: int, vision: dict[str, Any], text: dict[str, Any], words: Sequence[str]
) -> Clip:
    """Build an untrained CLIP with a compact vocabulary.

    Args:
        embed_dim: Length of the embeddings.
        vision: open_clip's configuration of the image tower.
        text: open_clip's configuration of the text tower, without the vocabulary's size.
        words: The vocabulary.

    Returns:
        The network.
    """
    tokenizer = CompactTokenizer(words, context_length=int(text["context_length"]))
    text = text | {"vocab_size": tokenizer.vocab_size}
    model = CLIP(embed_dim, CLIPVisionCfg(**vision), CLIPTextCfg(**text))
    return Clip(model, tokenizer, int(vision["image_size"]))


def _why(error: Exception) -> str:
    """A loading error as part of a sentence; PyTorch lists the keys on its later lines."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    found = [line for line in lines if line.startswith(("Missing", "Unexpected", "size mismatch"))]
    return "; ".join(line.rstrip(".")[:200] for line in found[:4] or lines[:1])


def public_clip(name: str, weights: Path) -> Clip:
    """Load a CLIP of open_clip's list from a file, without a connection.

    Args:
        name: open_clip's name. OpenAI's weights need "ViT-B-32-quickgelu": "ViT-B-32" loads them
            too, but computes with another activation.
        weights: The file that open_clip itself downloads.

    Returns:
        The network.

    Raises:
        BundleError: If the file does not hold this network.
    """
    try:
        model = create_model(name, pretrained=str(weights))
    except (RuntimeError, OSError, ValueError, KeyError, SafetensorError) as error:
        raise BundleError(
            f"{weights.name} does not hold a {name} CLIP ({_why(error)}): get it again."
        ) from error
    return Clip(model, FullTokenizer(), model.visual.image_size[0])
