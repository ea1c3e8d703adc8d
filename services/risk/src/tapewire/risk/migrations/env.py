"""Alembic's entry: the tables of risk."""

from tapewire.risk.tables import METADATA
from tapewire.service.database import run_env

run_env(METADATA)
