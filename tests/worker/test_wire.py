"""Messages survive the connection unchanged, whatever array they carry."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from multiprocessing import Pipe

import numpy as np
import pytest

from napari_tincture.worker.wire import PIECE, Link, Message


@pytest.fixture
def links() -> Iterator[tuple[Link, Link]]:
    one, other = Pipe()
    ends = Link(one), Link(other)
    yield ends
    for end in ends:
        end.close()


ARRAYS = [
    np.arange(12, dtype=np.uint16).reshape(3, 4),
    np.linspace(0, 1, 7, dtype=np.float16),
    np.array([True, False]),
    np.arange(6, dtype=">i4"),
    np.arange(24).reshape(2, 3, 4)[:, ::-1, ::2],
    np.float32(3.5).reshape(()),
    np.empty((0, 5), np.uint8),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype.str}{a.shape}")
def test_an_array_arrives_as_it_was_sent(links: tuple[Link, Link], array: np.ndarray) -> None:
    links[0].send(Message("block", {"index": [[0, 1]]}, array))
    message = links[1].receive()
    assert message.kind == "block"
    assert message["index"] == [[0, 1]]
    assert message.payload is not None
    assert message.payload.dtype == array.dtype
    np.testing.assert_array_equal(message.payload, array)


def test_a_large_array_travels_in_pieces_and_messages_do_not_mix(links: tuple[Link, Link]) -> None:
    large = np.random.default_rng(0).integers(0, 255, 3 * PIECE + 17, dtype=np.uint8)
    senders = [
        threading.Thread(target=links[0].send, args=[Message("block", {"number": number}, large)])
        for number in range(4)
    ]
    for sender in senders:
        sender.start()
    received = [links[1].receive() for _ in senders]
    for sender in senders:
        sender.join()
    assert sorted(message["number"] for message in received) == [0, 1, 2, 3]
    for message in received:
        np.testing.assert_array_equal(message.payload, large)


def test_the_end_of_the_other_process_is_noticed(links: tuple[Link, Link]) -> None:
    links[0].close()
    with pytest.raises(EOFError):
        links[1].receive()
