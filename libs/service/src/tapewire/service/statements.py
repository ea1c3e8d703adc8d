"""INSERT … ON CONFLICT as SQLite and PostgreSQL both know it; each statement is built once.

Building one costs more than running it. They take any number of rows (`execute(statement, rows)`),
each with the same columns.
"""

from functools import cache
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_into(dialect: str, table: Table) -> Any:
    """Return an INSERT that knows ON CONFLICT, in a dialect: ``sqlite`` or ``postgresql``."""
    return (postgresql if dialect == "postgresql" else sqlite).insert(table)


@cache
def insert_new(
    dialect: str,
    table: Table,
    unique: tuple[str, ...] | None = None,
    returning: tuple[str, ...] = (),
) -> Any:
    """Return what adds rows that are not there yet.

    Args:
        dialect: of the connection.
        table: where to.
        unique: columns that say whether a row is there; None: any unique constraint's.
        returning: columns to return, of each row that was added.
    """
    statement = insert_into(dialect, table).on_conflict_do_nothing(index_elements=unique)
    return statement.returning(*(table.c[name] for name in returning)) if returning else statement


@cache
def upsert(dialect: str, table: Table, unique: tuple[str, ...], changed: tuple[str, ...]) -> Any:
    """Return what adds rows, or changes the columns ``changed`` of those that are there."""
    statement = insert_into(dialect, table)
    return statement.on_conflict_do_update(
        index_elements=unique, set_={name: statement.excluded[name] for name in changed}
    )
