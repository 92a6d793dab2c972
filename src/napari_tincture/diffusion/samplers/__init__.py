"""Samplers: ways from noise to an image, one per file, found by its name.

Each file has

``times(schedule, steps, …)``
    which indices it visits, the noisiest first, where ``steps`` is how many a person asked for;
``sample(denoise, x, schedule, times, *, noise, callback, …)``
    a clean image (b, c, y, x) of one that is as noisy as at ``times[0]``; beginning later in the
    list is beginning with a less noisy image. ``noise`` is asked with the number of a step, from 0
    on, and ``callback`` is told of every step up to the image;
``evaluations(times, …)``
    how often it asks the denoiser;
``adds_noise(…)``
    whether it asks for noise on the way.

Its options are the further arguments, with defaults; their annotations say what they may be, see
`napari_tincture.diffusion.options`.
"""
