from __future__ import annotations

import pytest
import torch

from napari_tincture.errors import ModelError
from napari_tincture.models.layers.style import Style


def test_numbers_are_names_of_vectors() -> None:
    torch.manual_seed(0)
    style = Style(3, 4, 6)
    numbers = torch.tensor([2, 0])
    vectors = style.vectors(numbers)
    assert torch.equal(vectors[1], torch.zeros(4))
    torch.testing.assert_close(style(numbers, 2), style(vectors, 2), rtol=0, atol=0)
    torch.testing.assert_close(style(None, 2), style(torch.zeros(2, 4), 2), rtol=0, atol=0)


def test_the_unknown_style_stays_zero_in_training() -> None:
    style = Style(3, 4, 6)
    style(torch.tensor([0, 2]), 2).sum().backward()
    grad = style.vectors.weight.grad
    assert grad is not None
    assert grad[0].abs().max() == 0
    assert grad[2].abs().max() > 0


@pytest.mark.parametrize("given", [torch.zeros(2), torch.zeros(3, dtype=int), torch.zeros(2, 5)])
def test_other_shapes_are_refused(given: torch.Tensor) -> None:
    with pytest.raises(ModelError, match=r"2 integers from 0 to 3, or as vectors \(2, 4\)"):
        Style(3, 4, 6)(given, 2)
