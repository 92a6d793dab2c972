from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.io import imsave

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.models.card import Normalisation
from napari_tincture.tiling.cache import BlockCache
from napari_tincture.training.images.domains import Domain, domain_statistics
from napari_tincture.training.images.pictures import AS_STORED, pictures_of

RNG = np.random.default_rng(0)
ALL = slice(0, 20), slice(0, 30)


def write(path: Path, *shape: int) -> np.ndarray:
    values = RNG.integers(0, 256, shape).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    imsave(path, values, check_contrast=False)
    return values


def raw(domain: Domain, place: int = 0) -> np.ndarray:
    return domain.pictures[place].raw(*ALL)


def test_a_folder_holds_its_own_images_in_order(tmp_path: Path) -> None:
    images = {name: write(tmp_path / name, 20, 30) for name in ("b.png", "a.png", "in/c.png")}
    (tmp_path / "notes.txt").write_text("no image")
    domain = Domain.open("", root=tmp_path)
    assert [p.name for p in domain.pictures] == ["a", "b"]
    np.testing.assert_array_equal(raw(domain, 1)[0], images["b.png"])
    deeper = Domain.open("**/*.png", root=tmp_path)
    assert [p.name for p in deeper.pictures] == ["a", "b", "c"]
    several = Domain.open([tmp_path / "in", "a.png"], root=tmp_path)
    assert [p.name for p in several.pictures] == ["c", "a"]


def test_an_ome_zarr_is_an_image_and_its_planes_are_pictures(tmp_path: Path) -> None:
    values = RNG.integers(0, 9, (2, 3, 20, 30)).astype(np.uint16)
    path = tmp_path / "set" / "stack.ome.zarr"
    open_image(values, axes="tcyx", channels=["x", "y", "z"]).save(path)
    for images in ("set", "set/stack.ome.zarr", "set/*.zarr"):
        domain = Domain.open(images, root=tmp_path, channels=["z", 0])
        assert [(p.name, p.image) for p in domain.pictures] == [("stack", 0)] * 2
        np.testing.assert_array_equal(raw(domain, 1), values[1, [2, 0]])


def test_planes_of_a_stack_or_several_files_may_be_channels(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{n}.png", 20, 30) for n in range(3)]
    joined = Domain.open([["0.png", "1.png", "2.png"]], root=tmp_path)
    np.testing.assert_array_equal(raw(joined), files)
    stack = open_image(np.stack(files), axes="zyx")
    np.testing.assert_array_equal(raw(Domain.open(stack, channels="z")), files)
    np.testing.assert_array_equal(
        raw(Domain.open(stack, channels=[("z", 2), ("z", 0)])), [files[2], files[0]]
    )
    np.testing.assert_array_equal(raw(Domain.open(stack, channels=[0, 0]), 1), [files[1], files[1]])


def test_alpha_is_dropped(tmp_path: Path) -> None:
    values = write(tmp_path / "a.png", 20, 30, 4)
    np.testing.assert_array_equal(
        raw(Domain.open("a.png", root=tmp_path)), values[..., :3].transpose(2, 0, 1)
    )


def test_pictures_give_what_networks_take() -> None:
    values = RNG.integers(0, 256, (20, 30)).astype(np.uint8)
    (picture,) = Domain.open(values).pictures
    expected = torch.from_numpy(values.astype(np.float32))[None] / 127.5 - 1
    torch.testing.assert_close(picture.read(*ALL), expected, atol=1e-6, rtol=0)
    (standard,) = Domain.open(values, normalisation=Normalisation("standard")).pictures
    assert abs(float(standard.read(*ALL).mean())) < 1e-6
    # Statistics are those of the whole plane, or of the part that may be looked at.
    assert float(standard.read(slice(0, 5), slice(0, 5)).mean()) != 0
    part = standard.part(slice(0, 5), slice(0, 5))
    assert abs(float(part.read(slice(0, 5), slice(0, 5)).mean())) < 1e-6
    limited = Normalisation("range", 0, 100, (-1, 1), clip=(-1, 1))
    (clipped,) = Domain.open(values, normalisation=limited).pictures
    assert float(clipped.read(*ALL).max()) == 1


def test_what_leaves_the_picture_is_mirrored() -> None:
    values = RNG.integers(0, 256, (6, 7)).astype(np.uint8)
    (picture,) = Domain.open(values, normalisation=AS_STORED).pictures
    found = picture.read(slice(-3, 9), slice(-20, 4))[0]
    expected = np.pad(values, ((3, 3), (20, 3)), mode="reflect")[:12, :24]
    np.testing.assert_array_equal(found, expected)


def test_decoded_files_are_kept_within_their_bytes(tmp_path: Path) -> None:
    values = [write(tmp_path / f"{n}.png", 20, 30) for n in range(4)]
    cache = BlockCache(2 * 600)
    pictures = [
        picture
        for n in range(4)
        for picture in pictures_of(
            open_image(tmp_path / f"{n}.png"), None, AS_STORED, "error", cache, str(n), n
        )
    ]
    for _ in range(2):
        for picture, value in zip(pictures, values, strict=True):
            np.testing.assert_array_equal(picture.raw(*ALL)[0], value)
    # What is read again comes from the cache; what was decoded before is nowhere else.
    for n in range(4):
        (tmp_path / f"{n}.png").unlink()
    np.testing.assert_array_equal(pictures[3].raw(*ALL)[0], values[3])
    with pytest.raises(InputError, match=r"no file.*0\.png"):
        pictures[0].raw(*ALL)


def test_files_larger_than_the_cache_are_read_all_the_same(tmp_path: Path) -> None:
    value = write(tmp_path / "a.png", 20, 30)
    raster = open_image(tmp_path / "a.png")
    (picture,) = pictures_of(raster, None, AS_STORED, "error", BlockCache(10), "a", 0)
    np.testing.assert_array_equal(picture.raw(*ALL)[0], value)


def test_descriptions_survive_json(tmp_path: Path) -> None:
    write(tmp_path / "img" / "a.png", 20, 30, 3)
    write(tmp_path / "mask" / "a.png", 20, 30)
    norm = Normalisation("percentile", 1, 99, (-1, 1), clip=(-1, 1))
    domain = Domain.open("img", channels=[2, 0], mask="mask", keep=[3], normalisation=norm,
                         nonfinite="background", root=tmp_path)  # fmt: skip
    again = Domain.from_json(json.loads(json.dumps(domain.to_json())), root=tmp_path)
    assert again.to_json() == domain.to_json()
    assert again.pictures[0].normalisation == norm
    assert again.keep == (3,)
    np.testing.assert_array_equal(raw(again), raw(domain))
    with pytest.raises(InputError, match="Only a whole domain of files"):
        Domain.open(np.ones((4, 4))).to_json()
    with pytest.raises(InputError, match="describes no domain"):
        Domain.from_json({"folder": "img"}, root=tmp_path)


def test_unusable_images_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no image"):
        Domain.open(tmp_path)
    with pytest.raises(InputError, match="nowhere"):
        Domain.open("nowhere/*.png", root=tmp_path)
    with pytest.raises(InputError, match="at least one"):
        Domain.open([])
    for n in range(7):
        (tmp_path / f"broken{n}.png").write_bytes(b"no picture")
    write(tmp_path / "good.png", 20, 30)
    with pytest.raises(InputError, match=r"7 of 8 images.*broken0.*broken4.*2 more") as caught:
        Domain.open(tmp_path)
    assert "broken5" not in str(caught.value)


def test_channels_must_exist_and_be_as_many(tmp_path: Path) -> None:
    write(tmp_path / "a.png", 20, 30, 3)
    write(tmp_path / "b.png", 20, 30, 3)
    write(tmp_path / "grey.png", 20, 30)
    with pytest.raises(InputError, match="3 channels, but grey has 1"):
        Domain.open(tmp_path)
    assert Domain.open(tmp_path, channels=[0]).channels == 1
    with pytest.raises(InputError, match=r"'grey' has no channel 2"):
        Domain.open(tmp_path, channels=[2])
    with pytest.raises(InputError, match="choose nothing"):
        Domain.open(tmp_path, channels="blue")
    both = open_image(np.ones((2, 3, 20, 30)), axes="czyx")
    with pytest.raises(InputError, match="which channel and plane"):
        Domain.open(both, channels="z")


def test_masks_and_weights_are_matched_by_name(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path / "img" / f"{name}.png", 20, 30)
    mask = write(tmp_path / "mask" / "b.png", 20, 30)
    weight = tmp_path / "weight" / "c.npy"
    weight.parent.mkdir()
    np.save(weight, np.full((20, 30), 2.5, np.float32))
    domain = Domain.open("img", mask="mask", weight="weight", root=tmp_path)
    assert [p.mask is not None for p in domain.pictures] == [False, True, False]
    np.testing.assert_array_equal(domain.pictures[1].mask.raw(*ALL)[0], mask)
    assert float(domain.pictures[2].weight.read(*ALL).mean()) == 2.5
    write(tmp_path / "mask" / "z.png", 20, 30)
    with pytest.raises(InputError, match=r"z \(first 0 without a mask, last 1"):
        Domain.open("img", mask="mask", root=tmp_path)
    (tmp_path / "mask" / "z.png").unlink()
    write(tmp_path / "mask" / "b.png", 20, 31)
    with pytest.raises(InputError, match=r"'b' has 20 × 31 px.*'b' 20 × 30"):
        Domain.open("img", mask="mask", root=tmp_path)


def test_statistics_tell_the_range_of_the_images() -> None:
    images = [np.full((20, 30), n, np.uint16) for n in (10, 20, 60)]
    rasters = [open_image(i, scale=0.5, units="micrometer") for i in images]
    found = domain_statistics(Domain.open(rasters))
    assert (found["images"], found["pixel_size"]) == (3, 0.5)
    (channel,) = found["channels"]
    assert channel["p50"] == [10, 60]
    assert channel["mean"] == pytest.approx(30)
    assert channel["std"] == pytest.approx(np.std([10, 20, 60]))
    assert domain_statistics(Domain.open(images))["pixel_size"] is None
