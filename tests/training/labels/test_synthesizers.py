from __future__ import annotations

from pathlib import Path

import torch
from translations import images_for, small_recipe

import napari_tincture as nt
from napari_tincture.models.encoders.spade_style import style_of
from napari_tincture.training.images.material import open_material
from napari_tincture.training.translate import train_translation


def test_a_model_that_learned_styles_gives_images_in_the_style_of_others(tmp_path: Path) -> None:
    style = {"use_vae": True, "z_dim": 4}
    recipe = small_recipe("spade", networks=style, steps=2)
    made, _ = train_translation(recipe, open_material(recipe, images=images_for(recipe)))
    model = nt.load_model(made.save(tmp_path / "m.safetensors"))
    card = model.card
    assert (card.task, card.family, card.exact, card.stride) == ("synthesize", "spade", True, 32)
    assert [(c.source, c.value) for c in card.inputs] == [("class", v) for v in (1, 4, 9)]
    assert [channel.name for channel in card.outputs] == ["channel 0", "channel 1", "channel 2"]
    assert card.output_range == (-1, 1)
    assert set(card.parts) == {"discriminator", "encoder"}
    torch.manual_seed(0)
    maps = torch.eye(3)[torch.randint(0, 3, (1, 64, 96))].movedim(-1, 1)
    network, plain = model.network, model.predict(maps)
    found = []
    for image in (torch.zeros(1, 3, 64, 64), torch.rand(1, 3, 50, 40) * 2 - 1):
        network.style = style_of(model.part("encoder"), image)
        found.append(model.predict(maps))
        torch.testing.assert_close(model.predict(maps), found[-1], rtol=0, atol=0)
    network.style = None
    torch.testing.assert_close(model.predict(maps), plain, rtol=0, atol=0)
    assert not torch.equal(found[0], found[1])
