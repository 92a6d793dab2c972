"""What a card says of the images that a model was trained on."""

from __future__ import annotations

from napari_tincture.models.card import GREY, RGB, Channel
from napari_tincture.training.images.domains import Domain
from napari_tincture.training.images.pictures import Picture


def channels_of(domain: Domain) -> tuple[Channel, ...]:
    """What the channels of a domain are called and shown in."""
    picture = domain.pictures[0]
    places = [lane.at.get("c") for lane in picture.inputs.lanes]
    if picture.raster.rgb and places == [0, 1, 2]:
        return tuple(Channel(name, colour=name) for name in RGB)
    return tuple(_channel(picture, index) for index in range(picture.channels))


def _channel(picture: Picture, index: int) -> Channel:
    lane = picture.inputs.lanes[index]
    names, colours = lane.raster.channels, lane.raster.display.get("colours") or ()
    place = lane.at.get("c")
    if place is not None and place < len(names):
        colour = colours[place] if place < len(colours) else "gray"
        return Channel(names[place], colour=str(colour))
    if "z" in lane.at:
        return Channel(f"z{lane.at['z']:02d}")
    if picture.channels == 1:
        return Channel(GREY)
    repeated = all(other == lane for other in picture.inputs.lanes)
    return Channel(f"{GREY} {index + 1}" if repeated else f"channel {index}")


def pixel_size_of(domain: Domain) -> float | None:
    """Micrometres per pixel, the mean over images; None unless all of them say it."""
    sizes = {picture.raster.pixel_size for picture in domain.pictures}
    known = [size for size in sizes if size is not None]
    if len(known) != len(sizes) or not known:
        return None
    return float(sum(map(sum, known)) / (2 * len(known)))
