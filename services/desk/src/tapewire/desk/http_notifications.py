"""`/v1/notifications`."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from tapewire.auth import Claims
from tapewire.contracts import Model
from tapewire.contracts.fields import Id
from tapewire.desk import notifications
from tapewire.desk.http import ACTS, SEES, Cursor, Rim, before_of
from tapewire.service import ApiError


class NotificationItem(Model):
    """One notification. ``message`` is the client message as it was delivered."""

    id: str
    type: str
    level: str
    session_id: str | None
    timestamp: datetime
    read: bool
    message: dict[str, Any]


class NotificationPage(Model):
    """Notifications, newest first. ``nextCursor`` leads to older ones; null at the end."""

    items: list[NotificationItem]
    next_cursor: str | None
    unread_count: int


class Unread(Model):
    """How many notifications of the user are unread now, on all devices."""

    unread_count: int


class Ids(Model):
    """Some notifications. One that the user does not have is passed over."""

    ids: Annotated[list[Id], Field(min_length=1, max_length=notifications.MAX_IDS)]


class ToArchive(Model):
    """What is to be archived: these, and with ``all`` whatever is not critical."""

    ids: Annotated[
        list[Id],
        Field(
            default_factory=list,
            max_length=notifications.MAX_IDS,
            description="Critical ones and emergencies are archived by their ids only: "
            "name those that are acknowledged.",
        ),
    ]
    all: bool = False


def routes(router: APIRouter, rim: Rim) -> None:
    """Add the routes."""

    @router.get("/notifications", tags=["notifications"], summary="History, newest first")
    async def list_notifications(
        claims: Annotated[Claims, SEES],
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=notifications.MAX_PAGE)] = 50,
        unread: Annotated[bool, Query(description="Only what is not read.")] = False,
        archived: Annotated[bool, Query(description="What is archived, instead.")] = False,
    ) -> NotificationPage:
        async with rim.reading() as connection:
            page = await notifications.page(
                connection,
                claims.subject,
                before=before_of(cursor),
                limit=limit,
                unread_only=unread,
                archived=archived,
            )
        return NotificationPage(
            items=[_item(one) for one in page.items],
            next_cursor=None if page.cursor is None else str(page.cursor),
            unread_count=page.unread,
        )

    @router.get("/notifications/unread", tags=["notifications"], summary="How many are unread")
    async def count_unread(claims: Annotated[Claims, SEES]) -> Unread:
        async with rim.reading() as connection:
            return Unread(unread_count=await notifications.unread_count(connection, claims.subject))

    @router.post("/notifications/read", tags=["notifications"], summary="Mark some as read")
    async def read_some(claims: Annotated[Claims, ACTS], wanted: Ids) -> Unread:
        return await _mark_read(rim, claims.subject, wanted.ids)

    @router.post("/notifications/read-all", tags=["notifications"], summary="Mark all as read")
    async def read_all(claims: Annotated[Claims, ACTS]) -> Unread:
        async with rim.changing() as connection:
            await notifications.mark_all_read(connection, claims.subject, now=rim.now())
        return Unread(unread_count=0)

    @router.post(
        "/notifications/archive",
        tags=["notifications"],
        summary="Archive some, or all that is not critical",
        description="Archived is read too. An open alert stays open, and is still delivered.",
    )
    async def archive(claims: Annotated[Claims, ACTS], wanted: ToArchive) -> Unread:
        async with rim.changing() as connection:
            unread = await notifications.archive(
                connection, claims.subject, wanted.ids, all=wanted.all, now=rim.now()
            )
        return Unread(unread_count=unread)

    @router.post(
        "/notifications/{notification_id:path}/read",
        tags=["notifications"],
        summary="Mark one as read",
        description="Reading is not acknowledging: an open alert stays open.",
    )
    async def read_one(claims: Annotated[Claims, ACTS], notification_id: str) -> Unread:
        return await _mark_read(rim, claims.subject, [notification_id], must_be_there=True)


async def _mark_read(
    rim: Rim, user: str, ids: Sequence[str], *, must_be_there: bool = False
) -> Unread:
    """Mark these as read; answer with what is unread after it.

    Raises:
        ApiError: 404, `must_be_there` and the user has none of these.
    """
    async with rim.changing() as connection:
        unread = await notifications.mark_read(connection, user, ids, now=rim.now())
        if unread is None and must_be_there:
            raise ApiError(404, "unknown_notification", f"There is no notification {ids[0]!r}.")
        if unread is None:
            unread = await notifications.unread_count(connection, user)
    return Unread(unread_count=unread)


def _item(one: notifications.Notification) -> NotificationItem:
    return NotificationItem(
        id=one.id,
        type=one.type,
        level=one.level,
        session_id=one.session,
        timestamp=one.at,
        read=one.read,
        message=json.loads(one.body),
    )
