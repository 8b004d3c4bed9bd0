import math
import random

import pytest
import torch

from tmsa_core.avatars.language.captions import captions
from tmsa_core.avatars.params import ATTRIBUTES, TRAITS, sample_portraits
from tmsa_core.training.avatar.clip import (
    AttributeHead,
    architecture,
    contrastive_loss,
    image_head_loss,
    jitter,
    text_head_loss,
)


def test_contrastive_loss_of_perfect_and_of_constant_embeddings():
    apart, same = torch.eye(4), torch.ones(4, 4) / 2
    true = torch.eye(4, dtype=torch.bool)
    assert contrastive_loss(apart, apart, true, torch.tensor(100.0)).item() < 1e-6
    blind = contrastive_loss(same, same, true, torch.tensor(100.0)).item()
    assert blind == pytest.approx(math.log(4), abs=1e-5)


def test_a_caption_true_of_all_images_is_best_at_equal_similarities():
    images, text = torch.eye(3), torch.ones(3, 3) / math.sqrt(3)
    true = torch.ones(3, 3, dtype=torch.bool)
    level = contrastive_loss(images, text, true, torch.tensor(10.0))
    tilted = torch.nn.functional.normalize(torch.tensor([[2.0, 1.0, 1.0]]).repeat(3, 1), dim=1)
    assert contrastive_loss(images, tilted, true, torch.tensor(10.0)) > level


def test_head_losses_fall_in_training():
    people = sample_portraits(64, torch.Generator().manual_seed(0))
    said = captions(people, random.Random(0))
    torch.manual_seed(0)
    head, embedding = AttributeHead(32), torch.nn.functional.normalize(torch.randn(64, 32), dim=1)
    optimiser = torch.optim.Adam(head.parameters(), lr=3e-2)
    history = []
    for _ in range(60):
        image = image_head_loss(head, embedding, people)
        loss = image + text_head_loss(head, embedding, said)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(loss.item())
    assert history[-1] < 0.8 * history[0]
    traits, logits = head(embedding)
    assert traits.shape == (64, len(TRAITS)) and set(logits) == set(ATTRIBUTES)


def test_a_text_without_attributes_is_best_at_the_prior():
    people = sample_portraits(8, torch.Generator().manual_seed(0))
    said = captions(people, random.Random(0), mentions=0)
    head = AttributeHead(4)
    head.linear.weight.data.zero_()
    priors = torch.cat([torch.tensor(a.prior) for a in ATTRIBUTES.values()])
    head.linear.bias.data[: len(TRAITS)] = 0
    head.linear.bias.data[len(TRAITS) :] = priors.log()
    at_prior = text_head_loss(head, torch.zeros(8, 4), said)
    head.linear.bias.data[len(TRAITS) :] += torch.randn(len(priors))
    assert text_head_loss(head, torch.zeros(8, 4), said) > at_prior


def test_jitter_moves_a_little_and_keeps_shape():
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    moved = jitter(images, torch.Generator().manual_seed(0))
    assert moved.shape == images.shape and not torch.equal(moved, images)
    flat = torch.full((2, 3, 32, 32), 0.5)
    assert (jitter(flat, torch.Generator().manual_seed(0)) - 0.5).abs().max() < 0.03


def test_the_vocabulary_has_common_words_of_prompts():
    words = set(architecture()["words"])
    typed = "human face with glasses sunglasses beard smiling kid male female vampire hat blond"
    assert set(typed.split()) <= words
