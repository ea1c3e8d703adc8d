"""Risk over HTTP: limits, open alerts, emergency stops."""

from collections.abc import Collection
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query
from pydantic import Field

from tapewire.auth import Claims, require
from tapewire.contracts import Model, StopMode
from tapewire.contracts.fields import Id, Money, PrincipalId, Text, Timestamp
from tapewire.risk.engine import Engine
from tapewire.risk.episode import State
from tapewire.risk.rules import RULES, RuleName
from tapewire.risk.session import Limits, Session
from tapewire.risk.stopping import Stopping
from tapewire.risk.stops import Stop, StopState
from tapewire.risk.store import Store
from tapewire.risk.watch import Watch
from tapewire.service import ApiError

SessionPath = Annotated[PrincipalId, Path(description="The session.")]
ForUser = Annotated[
    PrincipalId | None,
    Query(alias="userId", description="Whose session; needed for one that risk has not seen."),
]
Reader = Annotated[Claims, Depends(require("session:read"))]
Stopper = Annotated[Claims, Depends(require("risk:stop"))]
Unlocker = Annotated[Claims, Depends(require("risk:unlock"))]


class SetLimits(Model):
    """New limits; what is left out stays."""

    loss_limit: Annotated[Money | None, Field(gt=0, description="Account currency.")] = None
    time_limit_s: Annotated[int | None, Field(gt=0)] = None


class LimitsView(Model):
    """A session's limits in force."""

    user_id: str
    session_id: str
    status: str | None
    loss_limit: Money | None
    time_limit_s: int | None
    set_by: str | None = Field(description="Who imposed them; null: the session or the defaults.")


class AlertView(Model):
    """An open episode."""

    user_id: str
    session_id: str
    rule: str
    state: State
    episode: int
    since: Timestamp | None
    current_value: float | None
    acknowledged: bool | None = Field(
        description="Whether somebody acknowledged it; null: it asks for no acknowledgement."
    )
    repeats: int = Field(description="How often it was told again for want of that.")


class StopRequest(Model):
    """What to do, and why."""

    mode: StopMode = "halt"
    reason: Text = "Asked for by a person"
    user_id: PrincipalId | None = None


class StopView(Model):
    """An emergency stop."""

    id: str
    user_id: str
    session_id: str
    state: StopState
    mode: StopMode
    reason: str
    requested_by: str
    requested_at: Timestamp
    executor: str | None
    settled_at: Timestamp | None
    released_by: str | None
    release_reason: str | None


class ReleaseRequest(Model):
    """Why it is safe to go on."""

    reason: Text
    user_id: PrincipalId | None = None


class ReleaseView(Model):
    """What was released."""

    rules: list[RuleName]
    stops: list[StopView]


def routes(store: Store, engine: Engine, stopping: Stopping, watch: Watch) -> APIRouter:
    """Return the routes of risk."""
    router = APIRouter(prefix="/v1", tags=["risk"])

    @router.get("/limits", summary="Limits in force")
    async def get_limits(
        claims: Reader, session: Annotated[PrincipalId | None, Query(alias="sessionId")] = None
    ) -> list[LimitsView]:
        found = await store.sessions(users=_users(claims), session=session)
        return [_limits_view(one, watch) for one in found]

    @router.put("/limits/{session_id}", summary="Impose limits on a session")
    async def put_limits(
        body: SetLimits, session_id: SessionPath, claims: Reader, user_id: ForUser = None
    ) -> LimitsView:
        """An owner or supervisor may tighten; to loosen takes the scope `admin`."""
        owner = await _owner(store, claims, session_id, user_id)
        wanted = Limits(body.loss_limit, body.time_limit_s)

        def decide(known: Session) -> Limits:
            if not claims.may("admin"):
                _only_tighter(known.limits(watch.defaults), wanted)
            return wanted.or_else(known.imposed)

        after = await engine.set_limits(owner, session_id, decide, by=_name(claims))
        return _limits_view(after, watch)

    @router.get("/alerts", summary="Open alerts")
    async def get_alerts(claims: Reader) -> list[AlertView]:
        """Episodes in warning, critical, emergency (until released) or unknown."""
        found = await store.open_episodes(users=_users(claims))
        return [
            AlertView(
                user_id=user,
                session_id=session,
                rule=rule,
                state=episode.state,
                episode=episode.number,
                since=episode.since,
                current_value=episode.value,
                acknowledged=episode.told.acked if episode.told else None,
                repeats=episode.told.repeats if episode.told else 0,
            )
            for user, session, rule, episode in found
            if rule in RULES
        ]

    @router.get("/stops", summary="Emergency stops, newest first")
    async def get_stops(
        claims: Reader, session: Annotated[PrincipalId | None, Query(alias="sessionId")] = None
    ) -> list[StopView]:
        """At most 200, shadow ones included."""
        return [_stop_view(s) for s in await store.stops(users=_users(claims), session=session)]

    @router.post("/sessions/{session_id}/emergency-stop", summary="Stop a session", status_code=202)
    async def post_stop(
        session_id: SessionPath,
        claims: Stopper,
        idempotency_key: Annotated[Id, Header(description="The same key: the same stop.")],
        body: StopRequest | None = None,
    ) -> StopView:
        """Tells executors and the user's clients; 202 says that it is written down and will go out.

        The fleet signals executors and cannot enforce: watch `state`, and the alert
        `stop_unconfirmed`.
        """
        body = body or StopRequest()
        owner = await _owner(store, claims, session_id, body.user_id)
        stop = await stopping.request(
            owner,
            session_id,
            key=idempotency_key,
            by=_name(claims),
            mode=body.mode,
            reason=body.reason,
        )
        return _stop_view(stop)

    @router.post("/sessions/{session_id}/emergency-stop/release", summary="Re-arm a session")
    async def post_release(
        body: ReleaseRequest, session_id: SessionPath, claims: Unlocker
    ) -> ReleaseView:
        """Opens latched emergencies and ends stops. What is past its limit alerts again."""
        owner = await _owner(store, claims, session_id, body.user_id)
        done = await engine.release(owner, session_id, by=_name(claims), reason=body.reason)
        if not done.rules and not done.stops:
            raise ApiError(409, "nothing_to_release", "No emergency and no stop holds this session")
        return ReleaseView(rules=list(done.rules), stops=[_stop_view(s) for s in done.stops])

    return router


def _users(claims: Claims) -> Collection[str] | None:
    """Return whose data the token may see; None: everybody's."""
    return None if claims.may("admin") else claims.users


def _name(claims: Claims) -> str:
    return f"user:{claims.subject}"


async def _owner(store: Store, claims: Claims, session: str, user: str | None) -> str:
    """Return whose session is meant.

    Raises:
        ApiError: 403 when it is not for this token to touch, 409 when several users have one of
            that name and none was named.
    """
    if user is not None:
        if not claims.may("admin") and user not in claims.users:
            raise ApiError(403, "forbidden", "This token does not speak for that user")
        return user
    owners = {s.user for s in await store.sessions(users=_users(claims), session=session)}
    if len(owners) > 1:
        raise ApiError(409, "ambiguous", "Several users have a session of that name: name userId")
    return owners.pop() if owners else claims.subject


def _only_tighter(now: Limits, wanted: Limits) -> None:
    loose: list[str] = []
    if now.loss is not None and wanted.loss is not None and wanted.loss > now.loss:
        loose.append("lossLimit")
    if now.time_s is not None and wanted.time_s is not None and wanted.time_s > now.time_s:
        loose.append("timeLimitS")
    if loose:
        raise ApiError(403, "forbidden", f"Only the scope admin may raise {' and '.join(loose)}")


def _limits_view(session: Session, watch: Watch) -> LimitsView:
    limits = session.limits(watch.defaults)
    return LimitsView(
        user_id=session.user,
        session_id=session.session,
        status=session.status,
        loss_limit=limits.loss,
        time_limit_s=limits.time_s,
        set_by=session.imposed_by,
    )


def _stop_view(stop: Stop) -> StopView:
    return StopView(
        id=stop.id,
        user_id=stop.user,
        session_id=stop.session,
        state=stop.state,
        mode=stop.mode,
        reason=stop.reason,
        requested_by=stop.requested_by,
        requested_at=stop.requested_at,
        executor=stop.executor,
        settled_at=stop.settled_at,
        released_by=stop.released_by,
        release_reason=stop.release_reason,
    )
