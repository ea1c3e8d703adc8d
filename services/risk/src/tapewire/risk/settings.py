"""What risk is told from outside."""

from decimal import Decimal
from typing import Literal

from pydantic import Field

from tapewire.risk.rules import RuleName
from tapewire.service import CommaList, ServiceSettings

RuleStopMode = Literal["off", "shadow", "halt", "reduce_only", "flatten"]


class RiskSettings(ServiceSettings):
    """Risk's settings; each field is `TAPEWIRE_<FIELD>` in the environment."""

    http_port: int = Field(default=8084, ge=0, le=65535)
    risk_shards: int = Field(default=4, ge=1, le=64)
    """Shard queues; every risk process consumes all, the broker picks one consumer each."""
    risk_stop_mode: RuleStopMode = "shadow"
    """What an emergency of a rule does: nothing, record it, or order a stop."""
    risk_stop_rules: CommaList = ("loss_limit",)
    """Rules whose emergency asks for a stop."""
    risk_loss_limit: Decimal | None = Field(default=None, gt=0)
    """For sessions that bring no limit; none: the producer's utilisation is used."""
    risk_time_limit_s: int | None = Field(default=None, gt=0)
    risk_stale_after_s: float = Field(default=120.0, gt=0)
    """Silence of an active session's P&L after which it counts as unknown."""
    risk_stop_ack_deadline_s: float = Field(default=5.0, gt=0)
    """An executor's first word on a stop; then `stop_unconfirmed`."""
    risk_repeat_critical_s: float = Field(default=300.0, ge=0)
    """A critical alert that nobody acknowledged is told again after so long; 0: never."""
    risk_repeat_emergency_s: float = Field(default=60.0, ge=0)
    """Likewise, an emergency."""
    risk_repeat_most: int = Field(default=5, ge=0, le=20)
    """How often one alert is told again, each time after twice the wait."""
    risk_tick_s: float = Field(default=0.5, gt=0)
    """How often the clock is looked at."""
    risk_retention_days: float = Field(default=7.0, gt=0)
    """How long sent alerts, applied event ids and ended sessions are kept."""

    def model_post_init(self, context: object) -> None:
        """Refuse names of rules that do not exist."""
        unknown = set(self.risk_stop_rules) - set(RuleName.__args__)  # type: ignore[attr-defined]
        if unknown:
            raise ValueError(f"TAPEWIRE_RISK_STOP_RULES: unknown {', '.join(sorted(unknown))}")
