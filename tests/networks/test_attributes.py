import torch

from tmsa_core.networks.attributes import AttributeNet


def test_one_distribution_for_each_attribute():
    torch.manual_seed(0)
    net = AttributeNet({"eyewear": 3, "gender": 2}, width=4).eval()
    images = torch.rand(5, 3, 128, 128) * 2 - 1
    probabilities = net.probabilities(images)
    assert {k: v.shape for k, v in probabilities.items()} == {
        "eyewear": (5, 3),
        "gender": (5, 2),
    }
    for p in probabilities.values():
        assert torch.allclose(p.sum(dim=1), torch.ones(5))
    predicted = net.predict(images)
    assert torch.equal(predicted["eyewear"], probabilities["eyewear"].argmax(dim=1))
    assert net.features(images).shape == (5, 256)


def test_images_of_any_size_are_resized():
    net = AttributeNet({"a": 2}, width=4).eval()
    assert net(torch.zeros(1, 3, 64, 64))["a"].shape == (1, 2)
    assert net(torch.zeros(1, 3, 256, 256))["a"].shape == (1, 2)
