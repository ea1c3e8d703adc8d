"""Where tokens come from."""

import inspect
from collections.abc import Awaitable, Callable

Token = str | Callable[[], str | Awaitable[str]]
"""A token, or a callable (sync or async) that returns a fresh one each time."""


async def fetch(token: Token) -> str:
    """Return the token to use now."""
    if isinstance(token, str):
        return token
    value = token()
    return await value if inspect.isawaitable(value) else value
