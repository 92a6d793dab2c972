"""Options of published programs, as the caller of an import gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_tincture.errors import ModelError

GENERATORS: Mapping[str, Mapping[str, Any]] = {
    "resnet_9blocks": {"architecture": "resnet_generator", "n_blocks": 9},
    "resnet_6blocks": {"architecture": "resnet_generator", "n_blocks": 6},
    "unet_128": {"architecture": "unet_generator", "num_downs": 7},
    "unet_256": {"architecture": "unet_generator", "num_downs": 8},
    "global": {},
    "local": {"netG": "local"},
}
JUDGES = {"ndf": "ndf", "n_layers_D": "n_layers", "num_D": "num_D", "norm_D": "norm"}
SAME = {"input_nc": "in_channels", "semantic_nc": "in_channels", "output_nc": "out_channels"}
DIRECTIONS = {"AtoB": False, "forward": False, "BtoA": True, "backward": True}
KNOWN = (
    "family", "direction", "epoch", "netG", "norm", "no_dropout", "ngf", "ndf", "n_layers_D",
    "num_D", "norm_D", "input_nc", "output_nc", "num_downs", "n_blocks", "padding",
    "batch_statistics", "ch", "n_res", "img_size", "light", "version", "n_downsample_global",
    "n_blocks_global", "n_local_enhancers", "n_blocks_local", "label_nc", "no_instance",
    "instance_feat", "feat_num", "in_channels", "out_channels", "dropout", "image_size",
    "num_classes", "guided", "num_channels", "channel_mult", "num_res_blocks",
    "attention_resolutions", "num_heads", "num_heads_upsample", "num_head_channels",
    "use_scale_shift_norm", "resblock_updown", "use_new_attention_order", "inner_channel",
    "channel_multiplier", "attn_res", "res_blocks", "norm_groups", "ch_mult", "attn_resolutions",
    "var_type", "semantic_nc", "contain_dontcare_label", "norm_G", "num_upsampling_layers",
    "use_vae", "z_dim", "crop_size", "aspect_ratio",
)  # fmt: skip
"""All that may be given."""
LISTS = (
    "channel_mult", "channel_multiplier", "ch_mult", "attention_resolutions", "attn_res",
    "attn_resolutions",
)  # fmt: skip


def translated(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options by the names of our architectures; those of discriminators under "judges".

    Raises
    ------
    ModelError
        For an unknown option, direction or generator.
    """
    unknown = sorted(set(given) - set(KNOWN))
    if unknown:
        raise ModelError(
            f"Unknown options {', '.join(unknown)}; an import takes {', '.join(KNOWN)}."
        )
    found: dict[str, Any] = {"judges": {}}
    for key, value in given.items():
        if key == "netG":
            found |= {"netG": value, **_one_of("netG", value, GENERATORS)}
        elif key == "direction":
            found["turned"] = _one_of("direction", value, DIRECTIONS)
        elif key == "no_dropout":
            found["dropout"] = not value
        elif key in LISTS:
            found[key] = _numbers(value)
        elif key in JUDGES:
            found["judges"][JUDGES[key]] = value
        else:
            found[SAME.get(key, key)] = value
    return found


def _numbers(value: Any) -> list[float]:
    """Numbers, which published programs take as text between commas."""
    parts = value.split(",") if isinstance(value, str) else list(value)
    return [float(part) for part in parts]


def _one_of(name: str, value: Any, choices: Mapping[str, Any]) -> Any:
    if value not in choices:
        raise ModelError(f"Unknown {name} {value!r}: choose one of {', '.join(choices)}.")
    return choices[value]
