"""`/v1/preferences`."""

from typing import Annotated

from fastapi import APIRouter

from tapewire.auth import Claims
from tapewire.contracts import Preferences
from tapewire.desk import preferences
from tapewire.desk.http import ACTS, SEES, Rim


def routes(router: APIRouter, rim: Rim) -> None:
    """Add the routes."""

    @router.get("/preferences", tags=["preferences"], summary="How the user is notified")
    async def get_preferences(claims: Annotated[Claims, SEES]) -> Preferences:
        async with rim.reading() as connection:
            return await preferences.preferences_of(connection, claims.subject)

    @router.put("/preferences", tags=["preferences"], summary="Replace them")
    async def put_preferences(claims: Annotated[Claims, ACTS], wanted: Preferences) -> Preferences:
        async with rim.changing() as connection:
            return await preferences.replace_preferences(
                connection, claims.subject, wanted, now=rim.now()
            )

    @router.patch(
        "/preferences",
        tags=["preferences"],
        summary="Change some of them",
        description="Fields that are left out stay as they are, also within objects (RFC 7396).",
    )
    async def patch_preferences(
        claims: Annotated[Claims, ACTS], change: Preferences
    ) -> Preferences:
        async with rim.changing() as connection:
            return await preferences.change_preferences(
                connection, claims.subject, change, now=rim.now()
            )
