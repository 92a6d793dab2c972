from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_tincture.models.layers.noise_embedding import (
    ddpm_embedding,
    guided_embedding,
    level_embedding,
)

CHANNELS = 16
TIMES = np.array([0.0, 0.7, 13.0, 999.0])


def frequencies(last: float) -> np.ndarray:
    """Geometric, from 1 to `last`."""
    return np.geomspace(1, last, CHANNELS // 2)


@pytest.mark.parametrize(
    ("embedding", "last", "sine_first"),
    [
        (ddpm_embedding, 1e-4, True),
        (guided_embedding, 1e-4 ** (7 / 8), False),
        (level_embedding, 1e-4 ** (7 / 8), True),
    ],
)
def test_embeddings_are_those_of_their_papers(embedding, last: float, sine_first: bool) -> None:
    angles = TIMES[:, None] * frequencies(last)
    parts = [np.sin(angles), np.cos(angles)]
    expected = np.concatenate(parts if sine_first else parts[::-1], 1)
    result = embedding(torch.from_numpy(TIMES), CHANNELS)
    assert result.dtype == torch.float32
    # An angle of 999 is known to 6e-5 in float32.
    np.testing.assert_allclose(result.numpy(), expected, rtol=0, atol=1e-4)


def test_embeddings_of_published_denoisers_all_differ() -> None:
    time = torch.tensor([0.3, 5.0])
    one, two, three = (
        embedding(time, 8) for embedding in (ddpm_embedding, guided_embedding, level_embedding)
    )
    for a, b in ((one, two), (two, three), (one, three)):
        assert (a - b).abs().max() > 0.01
