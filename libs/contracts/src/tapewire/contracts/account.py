"""What changes for a user across all devices."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from tapewire.contracts.fields import Id
from tapewire.contracts.message import UserEvent
from tapewire.contracts.quality import Quality


class NotificationRead(UserEvent):
    """Notifications were read (or archived) on one of the user's devices."""

    quality: ClassVar = Quality.LIVE
    kind: ClassVar = "account.notification_read"

    type: Literal["notification_read"] = "notification_read"
    ids: Annotated[list[Id], Field(default_factory=list, max_length=1000)]
    all: bool | None = None
    archived: bool | None = None
    unread_count: Annotated[int, Field(ge=0, description="After the change; absolute.")]


class PreferencesChanged(UserEvent):
    """The user's notification preferences, whole, after a change."""

    quality: ClassVar = Quality.LIVE
    kind: ClassVar = "account.preferences_changed"

    type: Literal["preferences_changed"] = "preferences_changed"
    preferences: dict[str, Any]
