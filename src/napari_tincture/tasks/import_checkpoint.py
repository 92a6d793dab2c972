"""Checkpoints that others trained, as models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tincture.models.checkpoints._found import Found

if TYPE_CHECKING:
    from os import PathLike

    from napari_tincture.models.model import Model

LIBRARY = "library"


def import_checkpoint(
    path: str | PathLike[str],
    *,
    name: str | None = None,
    pixel_size: float | None = None,
    save_to: str | PathLike[str] | None = None,
    **options: Any,
) -> Model:
    """Make a model of a checkpoint of a published implementation.

    U-GAT-IT, CycleGAN, pix2pix, AttentionGAN, Bayesian CycleGAN, pix2pixHD, SPADE, and the
    denoisers of Semantic Diffusion Models, SR3 and DDIM are recognised by the names and shapes of
    their tensors. Nothing in a file is ever executed.

    Parameters
    ----------
    path
        A file, or a folder, whose ``latest`` or else last epoch is taken. Files that belong
        together (``latest_net_G_A.pth``, ``…_G_B.pth``, ``…_D_A.pth``) are all read; those that
        are missing only make the model offer less. The file of ``G_B`` leads from B to A. Where
        there are means of the weights over a training (``ema_0.9999_010000.pt``, the last entry of
        ``ckpt.pth``), they are taken.
    name
        What the model is called; that of the folder or file if not given.
    pixel_size
        Micrometres per pixel of the images that it was trained on.
    save_to
        A ``.safetensors`` file to write, or "library": the user's own models, which panels and
        `list_models` offer (the folder that NAPARI_TINCTURE_MODELS names, else that of the user's
        data).
    **options
        What the tensors do not tell, by the names of the published programs: `family`,
        `direction` ("AtoB", "BtoA"), `epoch`, `label_nc`, `no_instance`, `instance_feat`,
        `img_size`, `no_dropout`, `num_head_channels`, `norm_groups`, `image_size` …; what they
        tell may be given as well, and must agree. `batch_statistics`: a U-Net's batch norm takes
        its statistics from each image, as the published pix2pix test does (which keeps dropout on,
        too, and so gives another result each time); off by default.

    Returns
    -------
    Model
        With all parts that were found, and a card with what was measured of the generator. The
        card of a denoiser says how it was trained.

    Raises
    ------
    ModelError
        If the checkpoint is damaged, of no known family, or contradicts the options.
    OutputError
        If `save_to` cannot be written.
    """
    from napari_tincture.models import imported, load_model
    from napari_tincture.tiling.reach import with_reach

    found, model = imported.convert(path, **options)
    called = name or found.name
    target = None if save_to is None else _target(save_to, called)
    if save_to == LIBRARY and target is not None:
        called = target.stem
    card = model.card.replace(name=called, pixel_size=pixel_size)
    measured = with_reach(model.with_card(card))
    if target is None:
        return measured
    target.parent.mkdir(parents=True, exist_ok=True)
    return load_model(measured.save(target))


def inspect_checkpoint(path: str | PathLike[str], **options: Any) -> Found:
    """Say what `import_checkpoint` would make of a checkpoint, without building its networks.

    Returns
    -------
    Found
        Family, networks and their options, and the questions that the tensors leave open.

    Raises
    ------
    ModelError
        As `import_checkpoint`.
    """
    from napari_tincture.models import imported

    return imported.inspect(path, **options)


def _target(save_to: str | PathLike[str], name: str) -> Path:
    from napari_tincture.models.shipped import unused_path

    return unused_path(name) if save_to == LIBRARY else Path(save_to)
