"""Checkpoints of published implementations: one file per family, found by its name.

Each recognises its networks by the names and shapes of their tensors.
"""

SUPPORTED = (
    "U-GAT-IT, CycleGAN, pix2pix, AttentionGAN, Bayesian CycleGAN, pix2pixHD and SPADE, and "
    "denoisers of Semantic Diffusion Models, SR3 and DDIM"
)
"""What can be imported, for a person."""
