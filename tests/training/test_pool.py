from __future__ import annotations

from pathlib import Path

import pytest
import torch
from references import recorded
from torch import Tensor

from napari_tincture.errors import InputError
from napari_tincture.training.pool import ImagePool


def image(value: float, side: int = 2) -> Tensor:
    return torch.full((1, 1, side, side), float(value))


def test_draws_are_the_published_ones() -> None:
    arrays = recorded("cyclegan_image_pool")
    pool = ImagePool(int(arrays["pool_size"]), seed=int(arrays["seed"]))
    returned = [float(pool.query(image(i))[0, 0, 0, 0]) for i in range(40)]
    assert returned == arrays["returned"].tolist()


def test_a_batch_is_drawn_image_by_image() -> None:
    whole, single = ImagePool(3, seed=1), ImagePool(3, seed=1)
    batch = torch.cat([image(i) for i in range(12)])
    expected = torch.cat([single.query(each[None]) for each in batch])
    assert torch.equal(whole.query(batch), expected)


def test_a_pool_of_none_gives_every_image_back() -> None:
    pool = ImagePool(0)
    assert all(float(pool.query(image(i))[0, 0, 0, 0]) == i for i in range(9))


def test_a_resumed_pool_draws_as_the_uninterrupted_one(tmp_path: Path) -> None:
    pool, again = ImagePool(4, seed=5), ImagePool(4, seed=6)
    for i in range(11):
        pool.query(image(i))
    torch.save(pool.state_dict(), tmp_path / "pool.pt")
    again.load_state_dict(torch.load(tmp_path / "pool.pt", weights_only=True))
    for i in range(11, 30):
        assert torch.equal(pool.query(image(i)), again.query(image(i)))


def test_what_is_kept_does_not_change_with_the_images() -> None:
    pool, first = ImagePool(1, seed=0), image(1)
    pool.query(first)
    first.fill_(99)
    returned = {float(pool.query(image(i))[0, 0, 0, 0]) for i in range(2, 20)}
    assert 1 in returned
    assert 99 not in returned


def test_images_of_an_earlier_size_are_forgotten() -> None:
    pool = ImagePool(2)
    pool.query(torch.cat([image(0), image(1)]))
    larger = torch.cat([image(i, 4) for i in range(2)])
    assert torch.equal(pool.query(larger), larger)


def test_no_gradient_leaves_the_pool() -> None:
    assert not ImagePool(2).query(image(0).requires_grad_()).requires_grad


def test_a_pool_too_small_for_what_was_saved_is_refused() -> None:
    pool = ImagePool(3)
    pool.query(torch.cat([image(i) for i in range(3)]))
    with pytest.raises(InputError, match="3 images"):
        ImagePool(2).load_state_dict(pool.state_dict())
    with pytest.raises(InputError, match="0 or more"):
        ImagePool(-1)
