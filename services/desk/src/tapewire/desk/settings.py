"""What desk is told from outside."""

from typing import Literal

from pydantic import Field

from tapewire.service import ServiceSettings


class DeskSettings(ServiceSettings):
    """Settings of desk; `TAPEWIRE_DESK_KEEP_DAYS` and so on."""

    http_port: int = Field(default=8083, ge=0, le=65535)
    desk_keep_days: int = Field(default=90, ge=1)
    """Days that events, notifications and ended sessions are kept."""
    desk_confirm_deadline_s: float = Field(default=5.0, gt=0)
    """For a publish of the mailroom or the outbox; then it is tried again."""
    inbox_queue_type: Literal["quorum", "classic"] = "quorum"
    """Of the inboxes that the mailroom opens; the same for the whole fleet."""
