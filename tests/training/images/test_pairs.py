from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_tincture.errors import InputError
from napari_tincture.raster import Raster
from napari_tincture.training.images.domains import Domain
from napari_tincture.training.images.pairs import Pairs


def domain(*names: str, shape: tuple[int, ...] = (8, 9), axes: str = "yx") -> Domain:
    return Domain.open([named(name, shape, axes) for name in names])


def named(name: str, shape: tuple[int, ...] = (8, 9), axes: str = "yx") -> Raster:
    return Raster.from_array(np.ones(shape, np.uint8), axes, name=name)


def names(pairs: Pairs) -> list[tuple[str, str]]:
    found = zip(pairs.a.pictures, pairs.b.pictures, strict=True)
    return [(one.name, other.name) for one, other in found]


def test_names_decide_where_they_can() -> None:
    found = Pairs.match(domain("x", "y"), domain("y", "x"))
    assert names(found) == [("x", "x"), ("y", "y")]


def test_else_the_order_does() -> None:
    found = Pairs.match(domain("phase1", "phase2"), domain("dapi1", "dapi2"))
    assert names(found) == [("phase1", "dapi1"), ("phase2", "dapi2")]


def test_or_a_list() -> None:
    found = Pairs.match(domain("x", "y", "z"), domain("x", "y"), [["x.tif", "y.png"], ["z", "x"]])
    assert names(found) == [("x", "y"), ("z", "x")]
    with pytest.raises(InputError, match=r"'w'.*0 images.*x; y"):
        Pairs.match(domain("x"), domain("x", "y"), [["x", "w"]])


def test_or_the_numbers_in_their_names() -> None:
    images = domain("t000", "t005", "t012", "t013")
    found = Pairs.match(images, domain("man_seg013", "man_seg05"), "number")
    assert names(found) == [("t005", "man_seg05"), ("t013", "man_seg013")]
    with pytest.raises(InputError, match=r"no number in common.*t000; t005.*man_seg7"):
        Pairs.match(images, domain("man_seg7"), "number")
    with pytest.raises(InputError, match=r"5 occurs twice, in 't05' and 'u5'"):
        Pairs.match(domain("t05", "u5"), domain("s5"), "number")
    with pytest.raises(InputError, match="expected 'number'"):
        Pairs.match(images, images, "size")  # type: ignore[arg-type]


def test_two_layers_are_a_pair() -> None:
    phase, stain = (Image(np.ones((8, 9)), name=name) for name in ("phase", "stain"))
    pairs = Pairs.match(Domain.open(phase), Domain.open(stain))
    assert names(pairs) == [("phase", "stain")]


def test_planes_are_paired_one_by_one() -> None:
    stack = domain("s", shape=(3, 8, 9), axes="zyx")
    assert [p.plane for p in Pairs.match(stack, stack).b.pictures] == [(0,), (1,), (2,)]
    with pytest.raises(InputError, match="s has 3 planes, its partner s 1"):
        Pairs.match(stack, domain("s"))


def test_what_does_not_match_is_named() -> None:
    with pytest.raises(InputError, match=r"x; z \(first 1 without a partner, last 1"):
        Pairs.match(domain("x", "y"), domain("y", "z"))
    with pytest.raises(InputError, match="2 images and 1 others"):
        Pairs.match(domain("x", "y"), domain("z"))
    with pytest.raises(InputError, match=r"occur twice.*: x"):
        Pairs.match(domain("x", "x"), domain("x"))
    with pytest.raises(InputError, match=r"1 of 1 pairs.*x \(8 × 9\) and x \(8 × 10\)"):
        Pairs.match(domain("x"), domain("x", shape=(8, 10)))
    with pytest.raises(InputError, match=r"1 pictures.*2 of b"):
        Pairs(domain("x"), domain("x", "y"))
