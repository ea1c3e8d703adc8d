"""The desk's names of instruments and a venue's. Pure."""

from collections.abc import Callable, Iterable

from pydantic import TypeAdapter, ValidationError

from tapewire.contracts.fields import Symbol

_SYMBOL: TypeAdapter[str] = TypeAdapter(Symbol)


def tether(symbol: str) -> str:
    """Return BTCUSDT for BTC-USD: at Binance dollars are Tether."""
    name = symbol.replace("-", "").upper()
    return f"{name}T" if name.endswith("USD") else name


class Symbols:
    """Which instruments are wanted, by both names.

    Args:
        entries: `BTC-USD`, or `BTC-USD=BTCUSDT` where the venue's name is not the usual one.
        usual: the venue's usual name of one of ours.

    Raises:
        ValueError: a name that is none, or two of ours for one of theirs.
    """

    def __init__(self, entries: Iterable[str], usual: Callable[[str], str] = str) -> None:
        self._theirs: dict[str, str] = {}
        for entry in entries:
            ours, _, theirs = (part.strip() for part in entry.partition("="))
            try:
                _SYMBOL.validate_python(ours)
            except ValidationError:
                raise ValueError(f"{entry!r} names no symbol") from None
            self._theirs[ours] = theirs or usual(ours)
        self._ours = {theirs: ours for ours, theirs in self._theirs.items()}
        if len(self._ours) < len(self._theirs):
            raise ValueError(f"two symbols have one name at the venue: {', '.join(self._theirs)}")

    @property
    def ours(self) -> tuple[str, ...]:
        """Return the desk's names."""
        return tuple(self._theirs)

    @property
    def theirs(self) -> tuple[str, ...]:
        """Return the venue's names."""
        return tuple(self._ours)

    def our(self, theirs: str) -> str | None:
        """Return the desk's name; None for what was not asked for."""
        return self._ours.get(theirs)

    def missing(self, told: Iterable[str]) -> dict[str, str]:
        """Return why, by the desk's name, for each that the venue did not subscribe."""
        known = set(told)
        return {
            ours: f"the venue did not subscribe {theirs}"
            for ours, theirs in self._theirs.items()
            if theirs not in known
        }
