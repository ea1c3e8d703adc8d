import io

from rich.console import Console

from tapewire.cli.board import PLAIN_INTERVAL_S, Board

QUOTE = {"type": "market_data", "symbol": "SPY", "last": 512.3}
TRADE = {"type": "trade_executed", "side": "buy", "quantity": 1, "symbol": "SPY", "price": 1}


def test_where_nothing_can_be_redrawn_a_quote_is_told_seldom_and_an_event_always():
    now = [0.0]
    output = io.StringIO()
    with Board(Console(file=output, width=100), clock=lambda: now[0]) as board:
        for _ in range(10):
            board.show(QUOTE)
            board.show(TRADE)
        now[0] += PLAIN_INTERVAL_S
        board.show(QUOTE)
    assert output.getvalue().count("market_data") == 2
    assert output.getvalue().count("trade_executed") == 10


def test_on_a_terminal_a_quote_stands_at_the_bottom_and_scrolls_nothing_away():
    output = io.StringIO()
    console = Console(file=output, width=100, force_terminal=True)
    with Board(console) as board:
        for last in (1.0, 2.0, 512.3):
            board.show({**QUOTE, "last": last})
        board.show(TRADE)
    assert "market_data" not in output.getvalue()
    assert "512.30" in output.getvalue()
    assert board.shown == 1


def test_what_open_means_is_said_once():
    output = io.StringIO()
    alert = {"type": "risk_alert", "alertLevel": "critical", "message": "m", "ack": True}
    with Board(Console(file=output, width=100)) as board:
        board.show(alert)
        board.show(alert)
    assert output.getvalue().count("tapewire tail --ack") == 1
