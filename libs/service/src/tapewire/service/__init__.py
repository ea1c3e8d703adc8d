"""What every Tapewire service shares: settings, HTTP surface, telemetry, life cycle."""

from tapewire.service import metrics, telemetry
from tapewire.service.app import create_app
from tapewire.service.errors import ApiError, ErrorBody, FieldProblem
from tapewire.service.lifecycle import Component, Lifecycle, Phase
from tapewire.service.runner import running, serve
from tapewire.service.settings import CommaList, ServiceSettings, Settings

__all__ = [
    "ApiError",
    "CommaList",
    "Component",
    "ErrorBody",
    "FieldProblem",
    "Lifecycle",
    "Phase",
    "ServiceSettings",
    "Settings",
    "create_app",
    "metrics",
    "running",
    "serve",
    "telemetry",
]
