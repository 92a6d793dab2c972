"""Samplers: ways from noise to an image, one per file, found by its name.

Each file has

``times(schedule, steps, …)``
    which indices it visits, the noisiest first, where ``steps`` is how many a person asked for;
``sample(denoise, x, schedule, times, *, noise, callback, …)``
    a clean image (b, c, y, x) of one that is as noisy as at ``times[0]``; beginning later in the
    list is beginning with a less noisy image;
``adds_noise(…)``
    whether it asks for noise on the way.
"""
