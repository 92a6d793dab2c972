"""Denoisers: what diffusion models have learned, one architecture per file, found by its name.

Each has ``build``, and ``SMALL``, options of one that tests and demonstrations can afford. What it
builds is a module with ``stride``, the number of pixels that sides are multiples of, and

    forward(x, time, condition) -> (b, c', y, x)

where ``x`` (b, c, y, x) is the noisy image, ``time`` (b,) float32 what the card's `Denoising.time`
says, and ``condition`` (b, k, y, x) what the image should show: one-hot classes, an image to
enlarge, or no channels at all. One that knows styles has a ``style`` that is not None, and takes
them as a fourth argument: (b,) integers, 0 for none or unknown, or (b, d) vectors.
"""
