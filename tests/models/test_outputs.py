"""What a model tells beside its image, on whole images: by hand and through the joined network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from two_way import noisy, two_way

from napari_tincture.errors import InputError
from napari_tincture.models.directions import turned
from napari_tincture.models.outputs import ask

GENERATOR = torch.Generator().manual_seed(1)
X = torch.rand(2, 2, 32, 40, generator=GENERATOR) * 2 - 1


def answers(model, names, x=X, samples=1):
    question = ask(model, names, samples)
    with torch.inference_mode():
        found = question.model.network(x)
    parts = {name: found[:, slice(*a.channels)] for name, a in question.answers.items()}
    return question, parts


def test_round_trips_are_those_of_the_paper() -> None:
    model = two_way()
    there, back = model.network, model.part("backward")
    names = ("cycle_error_twice", "image", "cycle_error", "reconstruction")
    question, found = answers(model, names)
    with torch.inference_mode():
        image = there(X)
        again = back(image)
        twice = back(there(again))
    torch.testing.assert_close(found["image"], image)
    torch.testing.assert_close(found["reconstruction"], again)
    error = (X - again).abs().mean(1, keepdim=True) / 2
    torch.testing.assert_close(found["cycle_error"], error)
    error = (X - twice).abs().mean(1, keepdim=True) / 2
    torch.testing.assert_close(found["cycle_error_twice"], error)
    assert [len(a.names) for a in question.answers.values()] == [1, 2, 1, 2]
    assert question.answers["image"].colours == ("gray", "green")
    assert question.answers["reconstruction"].names == ("a0", "a1")
    assert question.answers["cycle_error"].limits == (0.0, 0.2)


def test_only_what_is_needed_runs() -> None:
    model = two_way()
    calls: list[str] = []
    parts = {"there": model.network, "back": model.part("backward")}
    hooks = [
        network.register_forward_hook(lambda *_, name=name: calls.append(name))
        for name, network in parts.items()
    ]
    answers(model, ("image",))
    assert calls == ["there"]
    calls.clear()
    answers(model, ("image", "reconstruction", "cycle_error", "realism"))
    assert calls == ["there", "back"]
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("generator", ["ugatit", "attention_generator"])
def test_what_the_generator_tells_is_drawn_up_to_the_image(generator: str) -> None:
    model = two_way(generator=generator)
    extras = model.network.extras
    _, found = answers(model, ("image", *extras))
    with torch.inference_mode():
        detailed = model.network.detailed(X)
    for name, count in extras.items():
        assert found[name].shape == (2, count, 32, 40)
        told = detailed[name]
        if name == "heatmap":
            assert found[name].min() >= 0
            assert found[name].max() <= 1
            low, high = told.amin((2, 3), keepdim=True), told.amax((2, 3), keepdim=True)
            told = (told - low) / (high - low)
        times = 32 // told.shape[2]
        means = torch.nn.functional.avg_pool2d(found[name], times)
        # Bilinear enlargement keeps values in the middles of squares, up to their curvature.
        assert np.corrcoef(means.ravel(), told.ravel())[0, 1] > 0.9 if times > 1 else True
        if times == 1:
            torch.testing.assert_close(found[name], told)


def test_noise_is_averaged_and_its_spread_told() -> None:
    model = noisy()
    names = ("image", "std", "reconstruction")
    draws = torch.randn(2, 4, 32, 40, generator=GENERATOR)
    question, found = answers(model, names, torch.cat([X, draws], 1), samples=3)
    assert [c.name for c in question.model.card.noise_inputs] == ["z", "z 1", "z 2", "z back"]
    with torch.inference_mode():
        images = torch.stack(
            [model.network(torch.cat([X, draws[:, k : k + 1]], 1)) for k in range(3)]
        )
        back = model.part("backward")(torch.cat([images.mean(0), draws[:, 3:]], 1))
    torch.testing.assert_close(found["image"], images.mean(0))
    spread = images.std(0, correction=0).mean(1, keepdim=True)
    torch.testing.assert_close(found["std"], spread, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found["reconstruction"], back)


def test_what_is_not_offered_is_refused_with_what_is() -> None:
    with pytest.raises(InputError, match=r"'image', 'std'; 'realism' was asked"):
        ask(noisy(back=False), ("realism",))
    with pytest.raises(InputError, match=r"'reconstruction', .*'realism', 'std'; 'heatmap'"):
        ask(two_way(), ("image", "heatmap"))


def test_offers_follow_the_parts() -> None:
    trips = ("reconstruction", "cycle_error", "cycle_error_twice")
    assert noisy(back=False).card.offers == ("image", "std")
    assert noisy().card.offers == ("image", *trips, "std")
    assert two_way().card.offers == ("image", *trips, "realism", "std")
    assert two_way(generator="ugatit").card.offers == (
        "image", "heatmap", *trips, "realism", "std",
    )  # fmt: skip
    back = turned(two_way("pair"))
    assert back.card.offers == ("image", *trips, "std"), "nothing judges the inputs' domain"
