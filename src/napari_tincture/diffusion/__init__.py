"""Images from noise: schedules, samplers, and canvases of any size.

Schedule, denoiser, sampler and source of noise are four things that know nothing of each other's
insides (after Karras et al., Elucidating the design space of diffusion-based generative models,
NeurIPS 2022).
"""
