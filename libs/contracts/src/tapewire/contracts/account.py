"""What changes for a user across all devices."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tapewire.contracts.fields import Id
from tapewire.contracts.message import UserEvent
from tapewire.contracts.preferences import Preferences
from tapewire.contracts.quality import Quality


class NotificationRead(UserEvent):
    """Notifications were read (or archived) on one of the user's devices.

    ``ids`` were; with ``all`` everything until then was read, or everything archived that is
    neither critical nor an emergency: those are archived by their ids only.
    """

    quality: ClassVar = Quality.LIVE
    kind: ClassVar = "account.notification_read"

    type: Literal["notification_read"] = "notification_read"
    ids: Annotated[list[Id], Field(default_factory=list, max_length=1000)]
    all: bool | None = None
    archived: bool | None = None
    unread_count: Annotated[int, Field(ge=0, description="After the change; absolute.")]


class PreferencesChanged(UserEvent):
    """The user's notification preferences, whole, after a change.

    ``snapshot``: the answer to an edge that asked what they are.
    """

    quality: ClassVar = Quality.LIVE
    kind: ClassVar = "account.preferences_changed"

    type: Literal["preferences_changed"] = "preferences_changed"
    preferences: Preferences
    snapshot: Literal[True] | None = None
