"""The holder of a tray on another edge: how far it was heard, and what waits for its end. Pure."""

from tapewire.edge.connection.effects import Parcel


class Predecessor:
    """What a tray knows of the edge that holds it, or held it until now.

    A holder counts what it delivers and says the number with each relay, so whoever misses one
    knows. What was on its way to it when it let go comes back behind what the broker has given to
    its successor by then: deliveries that nobody had before wait here until it has closed.

    Attributes:
        others: how many consumed the queue when this edge did, though none of them had answered.
    """

    __slots__ = ("_heard", "_kept", "_teller", "others")

    def __init__(self) -> None:
        self._teller = ""  # edge, dot, opening of its tray; nobody: empty
        self._heard = 0
        self._kept: list[tuple[Parcel, int]] | None = None
        self.others = 0

    @property
    def is_known(self) -> bool:
        """Whether a holder has told this edge how far it is."""
        return bool(self._teller)

    @property
    def node(self) -> str:
        """The edge that it is on; empty when none is known."""
        return self._teller.rpartition(".")[0]

    def in_step(self, teller: str, number: int) -> None:
        """Everything up to ``number`` of its count is known here."""
        self._teller, self._heard = teller, number

    def misses(self, teller: str, number: int) -> bool:
        """It says ``number``; return whether one before was not heard."""
        expected = self._heard + 1 if teller == self._teller else 1
        self.in_step(teller, number)
        return number > expected

    def closing(self, node: str) -> None:
        """That edge is giving everything back."""
        if self.node != node:
            self.in_step(f"{node}.", 0)

    def suppose(self, others: int) -> None:
        """So many consume the queue, and who of them holds it has not said a word."""
        self.others = others

    # Its deliveries, and ours

    @property
    def keeps(self) -> bool:
        """Whether deliveries of this edge wait for its end."""
        return bool(self._kept)

    @property
    def wait(self) -> object | None:
        """What stands for this edge's wait for its end, another one each time; None: no wait."""
        return self._kept

    @property
    def kept_tags(self) -> list[int]:
        """The delivery tags of those that wait, in order."""
        return [tag for _, tag in self._kept or ()]

    def begin(self) -> bool:
        """The broker delivers to this edge; return whether the wait for its end begins now."""
        if not (self._teller or self.others) or self._kept is not None:
            return False
        self._kept = []
        return True

    def keep(self, parcel: Parcel, tag: int) -> bool:
        """Keep a delivery that nobody had before, and return True; False: show it at once."""
        if self._kept is None or parcel.redelivered:
            return False
        self._kept.append((parcel, tag))
        return True

    def forget_kept(self) -> None:
        """The broker has them back."""
        self._kept = None

    def end(self) -> list[tuple[Parcel, int]]:
        """It has gone: return what waited for that."""
        self._teller, self._heard, self.others = "", 0, 0
        kept, self._kept = self._kept, None
        return kept or []
