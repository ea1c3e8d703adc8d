"""Draws the state machines and the rules into risk's README, from their tables.

python -m tapewire.risk.diagram README.md           write
python -m tapewire.risk.diagram --check README.md   exit with status 1 when it would change
"""

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

from tapewire.risk.episode import RAISES, TRANSITIONS, Delay, Signal, State
from tapewire.risk.rules import RULES
from tapewire.risk.stops import STOP_TRANSITIONS, StopState

_State = TypeVar("_State", bound=StrEnum)
_Signal = TypeVar("_Signal", bound=StrEnum)

BEGIN: Final = "<!-- drawn: {} -->"
END: Final = "<!-- end -->"


def episode() -> str:
    """Return the episode's machine as a Mermaid diagram and a table."""
    return f"{_mermaid(TRANSITIONS, State.NORMAL)}\n\n{_table(TRANSITIONS, tuple(Signal))}"


def stop() -> str:
    """Return the stop's machine as a Mermaid diagram."""
    return _mermaid(STOP_TRANSITIONS, StopState.REQUESTED)


def rules() -> str:
    """Return the rules' numbers as a table."""
    heads = ("rule", "warning", "critical", "emergency", "deadband", "on-delay", "off-delay")
    rows = [f"| {' | '.join(heads)} | repeats after |", "|---" * (len(heads) + 1) + "|"]
    for name, rule in RULES.items():
        p = rule.policy
        rows.append(
            f"| `{name}` | {p.warning:g} % | {p.critical:g} % | {p.emergency:g} % "
            f"| {p.deadband:g} points | {_delay(p.on_delay)} | {_delay(p.off_delay)} "
            f"| {p.cool_down_s:g} s |"
        )
    return "\n".join(rows)


DRAWN: Final = {"episode": episode, "stop": stop, "rules": rules}


def draw(text: str) -> str:
    """Return ``text`` with everything between the marks drawn anew.

    Raises:
        ValueError: a mark is missing.
    """
    for name, part in DRAWN.items():
        head, found, rest = text.partition(BEGIN.format(name))
        _, closed, tail = rest.partition(END)
        if not (found and closed):
            raise ValueError(f"no {BEGIN.format(name)} … {END}")
        text = f"{head}{found}\n\n{part()}\n\n{END}{tail}"
    return text


def _mermaid(table: Mapping[_State, Mapping[_Signal, _State]], first: _State) -> str:
    rows = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first}"]
    for state, row in table.items():
        targets: dict[_State, list[str]] = {}
        for signal, target in row.items():
            targets.setdefault(target, []).append(signal.value)
        rows += [f"    {state} --> {target}: {', '.join(s)}" for target, s in targets.items()]
    return "\n".join([*rows, "```"])


def _table(table: Mapping[State, Mapping[Signal, State]], signals: tuple[Signal, ...]) -> str:
    rows = [f"| | {' | '.join(signals)} |", "|---" * (len(signals) + 1) + "|"]
    for state, row in table.items():
        cells = [_cell(signal, row.get(signal)) for signal in signals]
        rows.append(f"| **{state}** | {' | '.join(cells)} |")
    return "\n".join(rows)


def _cell(signal: Signal, target: State | None) -> str:
    if target is None:
        return "·"
    return f"{target} ⚑" if signal in RAISES else target.value


def _delay(delay: Delay) -> str:
    return f"{delay.marks} marks or {delay.seconds:g} s" if delay.marks else "none"


def main(arguments: list[str]) -> int:
    """Write or check; return the exit status."""
    check = arguments[:1] == ["--check"]
    path = Path(arguments[-1])
    text = path.read_text(encoding="utf-8")
    drawn = draw(text)
    if check:
        if drawn != text:
            print(f"{path} is out of date: run python -m tapewire.risk.diagram {path}")
        return int(drawn != text)
    path.write_text(drawn, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
