import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from open_clip import (
    add_model_config,
    create_model,
    create_model_and_transforms,
    get_model_config,
    get_tokenizer,
)
from open_clip.transformer import QuickGELU
from safetensors.torch import save_file

from tmsa_core.bundles import load_network
from tmsa_core.errors import BundleError
from tmsa_core.networks.clip import MEAN, STD, Clip, compact_clip, public_clip
from tmsa_core.text.tokenizer import FullTokenizer
from tmsa_core.weights.architectures import PUBLIC_CLIPS

VISION = {"layers": [1, 1, 1, 1], "width": 8, "head_width": 32, "image_size": 64}
TEXT = {"context_length": 12, "width": 32, "heads": 2, "layers": 1}


@pytest.fixture(scope="module")
def clip() -> Clip:
    torch.manual_seed(0)
    return compact_clip(16, VISION, TEXT, ["a", "face", "with", "glasses", "beard"]).eval()


def test_embeddings_are_unit_vectors(clip):
    images = clip.embed_images(torch.rand(3, 3, 128, 128) * 2 - 1)
    texts = clip.embed_texts(["a face", "a face with glasses"])
    assert images.shape == (3, 16) and texts.shape == (2, 16)
    assert torch.allclose(images.norm(dim=1), torch.ones(3), atol=1e-5)
    assert torch.allclose(texts.norm(dim=1), torch.ones(2), atol=1e-5)


def test_preprocessing_uses_clips_mean_and_standard_deviation(clip):
    grey = torch.zeros(1, 3, 64, 64)  # 0 in [-1, 1] is half intensity
    expected = (0.5 - torch.tensor(MEAN)) / torch.tensor(STD)
    assert torch.allclose(clip.preprocess(grey)[0, :, 5, 7], expected, atol=1e-6)


def test_preprocessing_is_differentiable(clip):
    images = torch.rand(1, 3, 128, 128, requires_grad=True)
    clip.embed_images(images)[0, 0].backward()
    assert images.grad.abs().sum() > 0


def test_unknown_words_change_nothing(clip):
    a, b = clip.embed_texts(["a face with glasses", "a zorblax face with glasses"])
    assert torch.equal(a, b)


def test_texts_do_not_depend_on_their_batch(clip):
    both = clip.embed_texts(["a beard", "a face with glasses"])
    assert torch.allclose(both[:1], clip.embed_texts(["a beard"]), atol=1e-6)


@pytest.fixture(scope="module")
def small_public(tmp_path_factory) -> tuple[str, Path]:
    """A model of open_clip's list, with OpenAI's activation and few numbers, and its weights."""
    name, folder = "test-quickgelu", tmp_path_factory.mktemp("clip")
    vision = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}
    config = {"embed_dim": 512, "quick_gelu": True, "vision_cfg": vision, "text_cfg": text}
    (folder / f"{name}.json").write_text(json.dumps(config))
    add_model_config(folder)
    torch.manual_seed(0)
    weights = folder / "open_clip_model.safetensors"
    save_file(create_model(name).state_dict(), weights, {"format": "pt"})
    return name, weights


def test_short_texts_are_encoded_as_by_open_clip(clip):
    tokens = clip.tokenizer(["a face", "a face with a beard and with glasses", ""])
    with torch.no_grad():
        expected = F.normalize(clip.model.encode_text(tokens), dim=1)
        assert torch.allclose(clip.embed_tokens(tokens), expected, atol=1e-6)
        assert torch.allclose(clip.embed_tokens(tokens[:1]), expected[:1], atol=1e-6)


def test_a_public_clip_equals_open_clips(small_public):
    name, weights = small_public
    ours = public_clip(name, weights).eval()
    theirs, _, preprocess = create_model_and_transforms(name, pretrained=str(weights))
    texts = ["a face", "a face with glasses " * 40]
    image = torch.rand(3, 32, 32)
    with torch.no_grad():
        expected = theirs.eval().encode_text(get_tokenizer(name)(texts))
        assert torch.allclose(ours.embed_texts(texts), F.normalize(expected, dim=1), atol=1e-6)
        expected = theirs.encode_image(preprocess.transforms[-1](image)[None])
        embedded = ours.embed_images(image[None] * 2 - 1)
        assert torch.allclose(embedded, F.normalize(expected, dim=1), atol=1e-5)
    assert any(isinstance(part, QuickGELU) for part in ours.modules())


def test_the_full_tokenizer_counts_as_clip_does_and_knows_all_words():
    tokenizer = FullTokenizer()
    assert tokenizer.token_count("a face") == 4
    assert tokenizer(["a face"]).shape == (1, 77) and (tokenizer(["a face"]) > 0).sum() == 4
    assert tokenizer.token_count("zorblax " * 60) > 77 and tokenizer.unknown_words("zorblax") == ()


def test_photos_get_the_network_with_openais_activation():
    assert PUBLIC_CLIPS["clip_vit_b_32"] == "ViT-B-32-quickgelu"
    assert get_model_config("ViT-B-32-quickgelu")["quick_gelu"]


def test_a_public_clip_from_another_file_is_refused(small_public, tmp_path):
    path = tmp_path / "open_clip_model.safetensors"
    with pytest.raises(BundleError, match="missing"):
        load_network("clip_vit_b_32", path)
    path.write_bytes(b"no weights")
    with pytest.raises(BundleError, match="damaged"):
        load_network("clip_vit_b_32", path)
    save_file({"visual.proj": torch.zeros(2, 2)}, path)
    with pytest.raises(BundleError, match="does not hold a test-quickgelu") as caught:
        public_clip(small_public[0], path)
    assert "\n" not in str(caught.value)
