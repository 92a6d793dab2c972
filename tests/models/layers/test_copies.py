"""Copies that share tensors, or do not."""

from __future__ import annotations

import torch
from two_way import two_way

from napari_tincture.models.layers.copies import sharing_weights, stand_in, with_tensors
from napari_tincture.models.layers.fixed_size import fixed_parts
from napari_tincture.models.registry import build_network


def test_a_second_network_takes_no_memory_and_is_another() -> None:
    network = two_way().network
    second = sharing_weights(network)
    assert second is not network
    mine, theirs = dict(network.named_parameters()), dict(second.named_parameters())
    assert mine.keys() == theirs.keys()
    assert all(mine[name].data_ptr() == theirs[name].data_ptr() for name in mine)
    modules = zip(network.modules(), second.modules(), strict=True)
    assert all(a is not b for a, b in modules)
    x = torch.rand(1, 2, 16, 16)
    assert torch.equal(network(x), second(x))


def test_the_network_stays_as_it_was() -> None:
    network = two_way().network
    before = {key: value.clone() for key, value in network.state_dict().items()}
    double = with_tensors(network, lambda tensor: tensor.double())
    assert {p.dtype for p in double.parameters()} == {torch.float64}
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_stand_in_of_a_fixed_size_takes_any() -> None:
    options = {"in_channels": 2, "out_channels": 2, "ch": 2, "n_res": 1, "img_size": 32}
    network = build_network("ugatit", {**options, "light": False}).eval()
    assert fixed_parts(network)
    meta = stand_in(network, lambda tensor: tensor.to("meta"))
    assert meta(torch.empty(1, 2, 48, 64, device="meta")).shape == (1, 2, 48, 64)
