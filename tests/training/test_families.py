from __future__ import annotations

import json

import pytest

from napari_tincture.training.families import COARSE_TO_FINE, changed_recipe, describe_family
from napari_tincture.training.objective import objective_names
from napari_tincture.training.presets import preset
from napari_tincture.training.translation import TranslationRecipe


@pytest.mark.parametrize("name", objective_names())
def test_what_is_described_can_be_set(name: str) -> None:
    family = describe_family(name)
    assert family == json.loads(json.dumps(family))
    assert set(family["sizes"]) == {"tiny", "standard", "large"}
    networks = {field["name"]: field["default"] for field in family["networks"]}
    weights = {field["name"]: field["default"] for field in family["weights"]}
    options = {field["name"]: field["default"] for field in family["options"]}
    usual = preset(name, "tiny")
    assert family["sizes"]["tiny"] == usual.to_dict()
    # Saying what is usual changes no network, and all that is offered is taken.
    coarse = {key: networks.pop(key) for key in COARSE_TO_FINE & networks.keys()}
    assert bool(coarse) == (family["data"] == "unpaired")
    same = preset(name, "tiny", networks=networks, weights=weights, options=options, **coarse)
    assert same.networks == usual.networks
    same.build_objective(same.build_networks())


def test_kinds_and_choices() -> None:
    fields = {field["name"]: field for field in describe_family("ugatit")["networks"]}
    assert fields["light"]["choices"] == [None, True, False]
    assert (fields["n_res"]["kind"], fields["n_res"]["default"]) == ("int", None)
    assert "Residual blocks" in fields["n_res"]["help"]
    assert describe_family("cyclegan")["pairs"]
    assert not describe_family("pix2pix")["pairs"]


def test_changes_reach_the_rooms_they_belong_to() -> None:
    base = preset("cyclegan", "tiny").to_dict()
    changes = {"lr": 0.5, "crop": 64, "flips": [True, True], "weights": {"cycle_a": 3.0}, "seed": 4}
    changed = TranslationRecipe.from_dict(changed_recipe(base, changes))
    assert (changed.schedule.lr, changed.sampling.crop) == (0.5, 64)
    assert changed.sampling.augment.flips == (True, True)
    assert changed.weights == {"cycle_a": 3.0}
    assert changed.schedule.seed == changed.sampling.seed == 4
    assert base == preset("cyclegan", "tiny").to_dict()
    with pytest.raises(KeyError, match="loudness"):
        changed_recipe(base, {"loudness": 1})
