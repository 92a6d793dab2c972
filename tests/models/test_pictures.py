from __future__ import annotations

from PIL import Image

from napari_tincture.models.pictures import find_picture, picture_path
from napari_tincture.models.shipped import shipped_folder

FILES = sorted(picture_path("any").parent.glob("*.png"))


def test_pictures_are_of_shipped_models_and_small() -> None:
    shipped = {path.stem for path in shipped_folder().glob("*.safetensors")}
    assert FILES
    assert {path.stem for path in FILES} <= shipped
    for path in FILES:
        assert path.stat().st_size < 100_000
        with Image.open(path) as picture:
            assert picture.width >= 2 * picture.height, "two halves"


def test_a_model_may_have_none() -> None:
    assert find_picture(FILES[0].stem) == FILES[0]
    assert find_picture("of nobody") is None
