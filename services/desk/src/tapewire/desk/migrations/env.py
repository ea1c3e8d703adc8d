"""Alembic's entry: the tables of desk."""

from tapewire.desk.tables import METADATA
from tapewire.service.database import run_env

run_env(METADATA)
