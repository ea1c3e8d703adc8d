"""The edge: client connections, and the mailboxes behind them."""
