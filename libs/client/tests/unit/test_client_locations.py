"""In which order a client tries its edges."""

import pytest

from tapewire.client.locations import socket_urls

EDGES = [f"http://edge-{n}" for n in range(4)]
SOCKETS = [f"ws://edge-{n}/ws" for n in range(4)]


def test_every_edge_is_somebodys_first_and_nobodys_twice():
    orders = [socket_urls(EDGES, shuffle=True) for _ in range(200)]
    assert {order[0] for order in orders} == set(SOCKETS)
    assert all(sorted(order) == SOCKETS for order in orders)


def test_edges_are_tried_in_the_order_given_where_that_is_wanted():
    assert socket_urls(EDGES, shuffle=False) == SOCKETS
    assert socket_urls(EDGES[0], shuffle=True) == SOCKETS[:1]


def test_list_of_the_caller_stays_as_it_was():
    given = EDGES[:]
    socket_urls(given, shuffle=True)
    assert given == EDGES


def test_no_url_is_refused():
    with pytest.raises(ValueError, match="URL"):
        socket_urls([], shuffle=True)
