"""How real an image looks: discriminators averaged, in place, and set against real images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from two_way import JUDGES, two_way

from napari_tincture.models.layers.evened import evened
from napari_tincture.models.realism import Realism, calibrated, first_width

GENERATOR = torch.Generator().manual_seed(2)


@pytest.mark.parametrize("judges", JUDGES)
def test_scores_have_the_size_of_the_image(judges: str) -> None:
    realism = Realism.of(two_way(judges))
    assert realism.inputs == (2 if judges == "pair" else 0)
    source, image = torch.rand(2, 1, 2, 48, 64, generator=GENERATOR)
    with torch.inference_mode():
        found = realism(source, image)
    assert found.shape == (1, 1, 48, 64)
    assert found.std() > 0


def test_all_discriminators_of_the_domain_are_averaged() -> None:
    model = two_way("ugatit")
    realism = Realism.of(model)
    image = torch.rand(1, 2, 64, 64, generator=GENERATOR)
    names = ("discriminator", "discriminator_local")
    with torch.inference_mode():
        found = realism.scores(image, image)
        single = [Realism([model.part(name)]).scores(image, image) for name in names]
    torch.testing.assert_close(found, torch.stack(single).mean(0))


def test_scores_lie_where_the_patch_is_that_they_judge() -> None:
    model = two_way()
    judge = model.part("discriminator")
    with torch.no_grad():
        for parameter in judge.parameters():
            parameter.fill_(0.1 if parameter.ndim == 4 else 0.0)
    for module in judge.modules():
        if isinstance(module, torch.nn.InstanceNorm2d):
            module.forward = lambda x: x  # only where scores lie is asked
    image = torch.zeros(1, 2, 96, 96)
    image[:, :, 40:56, 40:56] = 1
    with torch.inference_mode():
        scores = Realism([judge]).scores(image, image)[0, 0].double()
    rest = scores - scores.min()
    places = torch.arange(96, dtype=torch.float64)
    centre = (rest.sum(1) @ places / rest.sum(), rest.sum(0) @ places / rest.sum())
    assert np.allclose(centre, 47.5, atol=1.0), "a bright square is judged where it is"


def test_the_discriminator_is_left_alone() -> None:
    model = two_way()
    judge = model.part("discriminator")
    before = [str(module) for module in judge.modules()]
    Realism.of(model)
    assert [str(module) for module in judge.modules()] == before
    assert str(evened(judge)) != str(judge)


def test_shares_are_those_of_the_sorted_scores() -> None:
    real = torch.randn(4001, generator=GENERATOR).double()
    quantiles = torch.quantile(real, torch.linspace(0, 1, 101, dtype=torch.float64))
    asked = torch.linspace(-5, 5, 41, dtype=torch.float64)[None, None, None]
    found = calibrated(asked, quantiles)[0, 0, 0]
    share = (real[:, None] < asked[0, 0, 0]).double().mean(0)
    assert (found - share).abs().max() < 0.01, "between two quantiles lies a hundredth"
    assert (found[0], found[-1]) == (0, 1)
    assert (found.diff() >= 0).all()


def test_quantiles_that_coincide_are_a_step() -> None:
    quantiles = torch.tensor([0.0, 1.0, 1.0, 1.0, 2.0])
    asked = torch.tensor([-1.0, 0.5, 0.999, 1.001, 3.0])[None, None, None]
    found = calibrated(asked, quantiles)[0, 0, 0]
    torch.testing.assert_close(found[[0, 1, 4]], torch.tensor([0.0, 0.125, 1.0]))
    assert found[3] - found[2] > 0.49


@pytest.mark.parametrize(("judges", "width"), [("patch", 2), ("pair", 4), ("ugatit", 2)])
def test_how_much_a_discriminator_looks_at(judges: str, width: int) -> None:
    assert first_width(two_way(judges).part("discriminator")) == width
