"""How an event reaches the ingest: over AMQP with confirms, or over HTTP."""

import asyncio
import random
from typing import Final, Protocol

import httpx
from pydantic import BaseModel, ValidationError

from tapewire.broker import Link, NotConfirmed, Publisher, Role, Unroutable
from tapewire.broker.topology import INGEST
from tapewire.client.credentials import Token, fetch
from tapewire.client.errors import ClientError, NotPermitted
from tapewire.client.locations import is_loopback
from tapewire.client.pacing import Backoff
from tapewire.contracts import Event, FieldError, InvalidEvent, encode

RETRY: Final = Backoff(first_s=0.1, cap_s=2.0)  # several tries fit into a deadline of seconds
RETRIED_STATUSES: Final = frozenset({408, 425, 429})


class TryAgain(Exception):
    """This try did not confirm the event; another with the same id may.

    Attributes:
        after_s: what the other side asks to wait.
        cut_short: whether time ran out first: an earlier reason then says more.
    """

    def __init__(self, reason: str, after_s: float = 0.0, *, cut_short: bool = False) -> None:
        super().__init__(reason)
        self.after_s = after_s
        self.cut_short = cut_short


class Transport(Protocol):
    """One way to the ingest."""

    async def open(self) -> None:
        """Get ready; never fails because the other side is away."""
        ...

    async def send(self, event: Event, *, timeout_s: float) -> None:
        """Return once the broker has confirmed the event; within ``timeout_s``, one way or another.

        Raises:
            TryAgain: it has not.
            InvalidEvent, NotPermitted, ClientError: it never will.
        """
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


class AmqpTransport:
    """Publishes to the exchange ``tw.ingest``, mandatory and with confirms."""

    def __init__(self, url: str, *, name: str) -> None:
        self._link = Link(url, Role.PUBLISH, name=name)
        self._publisher = Publisher(self._link)

    async def open(self) -> None:
        """Start to connect."""
        await self._link.start()

    async def send(self, event: Event, *, timeout_s: float) -> None:
        """Return after the confirm: the event is in the ingest's queue."""
        try:
            await self._publisher.publish(
                INGEST,
                event.type,
                encode(event),
                type=event.type,
                message_id=event.id,
                timestamp=event.timestamp,
                mandatory=True,
                deadline_s=timeout_s,
            )
        except Unroutable as error:
            raise TryAgain(f"no ingest has set itself up on this broker ({error})") from error
        except NotConfirmed as error:
            raise TryAgain(str(error)) from error

    async def close(self) -> None:
        """Close the AMQP channel and the connection."""
        await self._publisher.close()
        await self._link.close()


class HttpTransport:
    """Posts to ``/v1/events``; the token is fetched again when it is refused."""

    def __init__(self, url: str, token: Token) -> None:
        base_url = url.rstrip("/")
        self._http = httpx.AsyncClient(
            base_url=base_url, timeout=None, trust_env=not is_loopback(base_url)
        )
        self._source = token
        self._token: str | None = None
        self._renewing = asyncio.Lock()

    async def open(self) -> None:
        """Do nothing: connections are made as needed."""

    async def send(self, event: Event, *, timeout_s: float) -> None:
        """Return after the ingest's word that the broker confirmed the event, now or earlier."""
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._post(event)
        except TimeoutError:
            raise TryAgain("no answer in time", cut_short=True) from None
        except httpx.TransportError as error:
            raise TryAgain(f"{type(error).__name__} {error}".strip()) from error
        status = response.status_code
        if status == 200:
            return
        if status in {413, 422}:
            raise InvalidEvent(_errors(response))
        words = f"HTTP {status}: {_refusal(response).message}"
        if status in {401, 403}:
            raise NotPermitted(words)
        if status >= 500 or status in RETRIED_STATUSES:
            raise TryAgain(words, _retry_after_s(response))
        raise ClientError(f"{response.url}: {words}")

    async def close(self) -> None:
        """Close the pooled connections."""
        await self._http.aclose()

    async def _post(self, event: Event) -> httpx.Response:
        token = await self._current_token()
        response = await self._post_as(token, event)
        if response.status_code == 401 and not isinstance(self._source, str):
            response = await self._post_as(await self._current_token(refused=token), event)
        return response

    async def _post_as(self, token: str, event: Event) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return await self._http.post("/v1/events", content=encode(event), headers=headers)

    async def _current_token(self, refused: str | None = None) -> str:
        async with self._renewing:
            if self._token is None or self._token == refused:
                self._token = await fetch(self._source)
            return self._token


def jitter_s(tries: int) -> float:
    """Return the wait after as many failed tries."""
    return RETRY.delay_s(tries, random.random)


class _Problem(BaseModel):
    field: str = ""
    message: str = ""


class _Refusal(BaseModel):
    """The body of an answer that is no success; other fields are ignored."""

    message: str = ""
    errors: list[_Problem] = []


def _refusal(response: httpx.Response) -> _Refusal:
    try:
        refusal = _Refusal.model_validate_json(response.content)
    except ValidationError:  # not the ingest's: a proxy's page
        refusal = _Refusal()
    return refusal if refusal.message else _Refusal(message=response.reason_phrase)


def _errors(response: httpx.Response) -> list[FieldError]:
    refusal = _refusal(response)
    errors = [FieldError(problem.field, problem.message) for problem in refusal.errors]
    return errors or [FieldError("", refusal.message)]


def _retry_after_s(response: httpx.Response) -> float:
    try:
        return float(response.headers.get("Retry-After", 0))
    except ValueError:  # a date: our own wait will do
        return 0.0
