"""Wishes outlive connections."""

from tapewire.client.subscriptions import Subscriptions


def test_wishes_are_kept_and_gifts_are_the_connections() -> None:
    channels = Subscriptions(["a"])
    channels.want(["b", "a"])
    channels.welcomed(["user:alice"])
    channels.subscribed({"channels": ["a", "b"]})
    assert channels.wanted == ("a", "b")
    assert channels.current == ("user:alice", "a", "b")
    channels.welcomed(["user:alice"])
    assert channels.current == ("user:alice",)
    assert channels.wanted == ("a", "b")


def test_rejected_channel_is_asked_for_again_only_when_wanted_again() -> None:
    channels = Subscriptions(["a", "b"])
    channels.subscribed({"channels": ["a"], "rejected": [{"channel": "b", "code": "forbidden"}]})
    assert channels.wanted == ("a",)
    assert channels.rejected == {"b": "forbidden"}
    channels.want(["b"])
    assert channels.wanted == ("a", "b")
    assert channels.rejected == {}


def test_channel_given_up_while_away_is_handed_back_at_the_welcome() -> None:
    channels = Subscriptions(["a", "b"])
    channels.give_up(["a"])
    assert channels.welcomed(["user:alice", "a", "b"]) == ("a",)
    channels.unsubscribed(["a"])
    assert channels.welcomed(["user:alice", "b"]) == ()
    assert channels.current == ("user:alice", "b")
