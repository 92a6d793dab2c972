"""Files of a checkpoint: which belong together, and what they hold by published names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tincture.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

    from napari_tincture.models.checkpoints._found import State, States

SUFFIXES = (".pth", ".pt", ".ckpt", ".bin", ".safetensors")
ONE_NETWORK = re.compile(
    r"(?:(?P<epoch>.+)_)?net_?(?P<role>G_A2B|G_B2A|[GDE]_[AB]|[GDE])", re.ASCII
)
ALL_NETWORKS = re.compile(r"(?P<name>.+)_params_(?P<epoch>latest|\d+)", re.ASCII)
DENOISER = re.compile(
    r"(?:ema_[\d.]+_|model)(?P<epoch>\d+)|I(?P<iteration>\d+)_E\d+_gen|ckpt(?:_(?P<step>\d+))?",
    re.ASCII,
)
"""Of guided diffusion, SR3 and DDIM; a mean over the training comes first by name."""
LATEST = "latest"
INNER = "denoise_fn."
"""What SR3's program puts before names of its network; others are of its schedule."""
SCHEDULE = "schedule"
BARE = "G"
"""What is in a file that says nothing of it: a generator."""
RENAMED = {
    "G_A2B": "G_A", "G_B2A": "G_B", "G_AB": "G_A", "G_BA": "G_B", "generator": "G",
    "discriminator": "D", "G_AtoB": "G_A", "G_BtoA": "G_B",
}  # fmt: skip
ROLES = {
    *(f"{net}_{domain}" for net in "GDE" for domain in "AB"), *"GDE", "genA2B", "genB2A", "disGA",
    "disGB", "disLA", "disLB",
}  # fmt: skip
WRAPPERS = {
    "state_dict", "model", "model_state_dict", "net", "network", "params", "params_ema", "weights",
    "module", "ema",
}  # fmt: skip
FIRST = ("module.", "_orig_mod.")
"""What parallel and compiled modules put before names."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """State dicts by published names, and their files.

    Attributes
    ----------
    name
        What the folder or file is called.
    turned
        Whether the file that was chosen leads from B to A.
    """

    states: States
    files: Mapping[str, Path]
    name: str
    turned: bool = False


def gather(path: Path, epoch: str | None = None) -> Gathered:
    """Read a file and those that belong with it, or the latest of a folder.

    Raises
    ------
    ModelError
        If there is no such file, several are as good, or one cannot be read.
    """
    path = path.expanduser()
    if path.is_dir():
        path = _chosen(path, epoch)
    if not path.is_file():
        raise ModelError(f"There is no checkpoint {path}; expected a file or a folder of files.")
    parsed = ONE_NETWORK.fullmatch(path.stem)
    if parsed is None:
        several = ALL_NETWORKS.fullmatch(path.stem)
        name = several["name"] if several else path.stem
        name = path.resolve().parent.name if DENOISER.fullmatch(path.stem) else name
        held = unwrapped(_loaded(path), str(path))
        return Gathered(held, dict.fromkeys(held, path), name)
    siblings = {
        _role(found["role"]): file
        for file in _candidates([path.parent])
        if (found := ONE_NETWORK.fullmatch(file.stem)) and found["epoch"] == parsed["epoch"]
    }
    role = _role(parsed["role"])
    siblings[role] = path
    # "G" and "G_A" in one folder are two models.
    together = {r: f for r, f in siblings.items() if ("_" in r) == ("_" in role)}
    states: dict[str, State] = {r: _single(f) for r, f in together.items()}
    return Gathered(states, together, path.resolve().parent.name, role.endswith("_B"))


def _chosen(folder: Path, epoch: str | None) -> Path:
    files = _candidates([folder]) or _candidates(sorted(p for p in folder.iterdir() if p.is_dir()))
    groups = _grouped(files)
    if not groups and len(files) == 1:
        return files[0]
    if len(groups) != 1:
        listed = ", ".join(str(file.relative_to(folder)) for file in files[:8]) or "none"
        raise ModelError(
            f"{folder} holds {len(groups) or 'no'} checkpoints that could be meant; its files are "
            f"{listed}. Choose the file of a generator."
        )
    (steps,) = groups.values()
    if epoch is not None and epoch not in steps:
        raise ModelError(
            f"There is no epoch {epoch!r} in {folder}; there are {', '.join(sorted(steps))}."
        )
    return steps[epoch if epoch is not None else max(steps, key=_rank)]


def _grouped(files: Iterable[Path]) -> dict[tuple[Path, str, str], dict[str, Path]]:
    """Files to choose by their steps; those of one training, of a kind, are a group."""
    groups: dict[tuple[Path, str, str], dict[str, Path]] = {}
    for file in files:
        several, one = ALL_NETWORKS.fullmatch(file.stem), ONE_NETWORK.fullmatch(file.stem)
        if several:
            groups.setdefault((file.parent, several["name"], ""), {})[several["epoch"]] = file
        elif one and one["role"].startswith("G"):
            kind = "pair" if "_" in one["role"] else "one"
            steps = groups.setdefault((file.parent, "", kind), {})
            steps[one["epoch"] or ""] = min(file, steps.get(one["epoch"] or "", file))
        elif denoiser := DENOISER.fullmatch(file.stem):
            epoch_of = next(filter(None, denoiser.groups()), LATEST)
            steps = groups.setdefault((file.parent, "", "denoiser"), {})
            steps[epoch_of] = min(file, steps.get(epoch_of, file))
    return groups


def _rank(epoch: str) -> tuple[bool, int, str]:
    digits = re.sub(r"\D", "", epoch)
    return epoch == LATEST, int(digits or 0), epoch


def _candidates(folders: Iterable[Path]) -> list[Path]:
    return [
        file
        for folder in folders
        for file in sorted(folder.iterdir())
        if file.suffix in SUFFIXES and file.is_file()
    ]


def _role(name: str) -> str:
    return RENAMED.get(name, name)


def _single(file: Path) -> Mapping[str, Tensor]:
    states = unwrapped(_loaded(file), str(file))
    if len(states) > 1:
        raise ModelError(
            f"{file} holds several networks, {', '.join(states)}, but is named as one of them. "
            "Rename it."
        )
    return next(iter(states.values()))


def _loaded(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from napari_tincture.models.user_weights import read_tensors

        return read_tensors(path)
    from napari_tincture.models.published import load_plain

    return load_plain(path)


def unwrapped(loaded: Any, origin: str) -> dict[str, dict[str, Tensor]]:
    """State dicts by published names, whatever they are wrapped in.

    Raises
    ------
    ModelError
        If there is none.
    """
    import torch

    from napari_tincture.models.published import to_classic_spectral_norm

    if isinstance(loaded, list | tuple):
        # DDIM's: weights, what the optimiser knows, epoch, step, and the weights' mean, if any.
        held_states = [item for item in loaded if _is_state(item)]
        if held_states:
            return unwrapped(held_states[-1], origin)
    if isinstance(loaded, Mapping):
        tensors = {str(k): v for k, v in loaded.items() if isinstance(v, torch.Tensor)}
        if tensors:
            plain = {_bare(key): value for key, value in tensors.items()}
            return _of_sr3(plain) or _by_prefix(to_classic_spectral_norm(plain))
        inner = {str(k): v for k, v in loaded.items() if isinstance(v, Mapping) and v}
        known = {name: v for name, v in inner.items() if _named(name)}
        if known:
            return {_named(n): unwrapped(v, f"{origin}[{n!r}]")[BARE] for n, v in known.items()}
        for name, value in inner.items():
            if name in WRAPPERS:
                return unwrapped(value, f"{origin}[{name!r}]")
    held = ", ".join(map(repr, list(loaded)[:6])) if isinstance(loaded, Mapping) else ""
    raise ModelError(
        f"{origin} holds a {type(loaded).__name__}{f' of {held}' if held else ''}, expected a "
        "state dict, or a dict of state dicts by name. Save the networks' state_dict()."
    )


def _bare(key: str) -> str:
    while key.startswith(FIRST):
        key = key.partition(".")[2]
    return key


def _named(name: str) -> str:
    """The published name of a network; empty for any other word."""
    short = re.sub(r"^net_?", "", name)
    role = RENAMED.get(short, short)
    return role if role in ROLES else ""


def _is_state(value: Any) -> bool:
    import torch

    if not isinstance(value, Mapping) or not value:
        return False
    return all(isinstance(item, torch.Tensor) for item in value.values())


def _of_sr3(state: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """A network that is kept within its diffusion, and the tensors of the schedule."""
    inner = {k.removeprefix(INNER): v for k, v in state.items() if k.startswith(INNER)}
    rest = {k: v for k, v in state.items() if not k.startswith(INNER)}
    return {BARE: inner, SCHEDULE: rest} if inner else {}


def _by_prefix(state: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Networks whose names stand before those of their tensors, as modules of modules have them."""
    parted: dict[str, dict[str, Tensor]] = {}
    for key, value in state.items():
        first, _, rest = key.partition(".")
        parted.setdefault(_named(first) if rest else "", {})[_bare(rest)] = value
    return {BARE: state} if "" in parted else parted
