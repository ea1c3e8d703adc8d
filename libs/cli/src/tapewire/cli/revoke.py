"""`tapewire token revoke` and `tapewire token revoked`: tokens that are taken back."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from tapewire.cli.console import Failure, out, print_json
from tapewire.cli.options import Json, RunDir, duration, the_fleet

SCOPES = ("admin",)
TTL_S = 60
WITHIN_S = 10.0

Token = Annotated[
    str | None, typer.Argument(metavar="[TOKEN]", help="The token itself; `-` reads it.")
]
TokenId = Annotated[str | None, typer.Option("--id", help="Or its id, the claim `jti`.")]
User = Annotated[
    str | None,
    typer.Option("--user", "-u", help="Or all that this user was given up to now."),
]
IssuedBefore = Annotated[
    datetime | None,
    typer.Option(
        "--issued-before",
        formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z"],
        help="With --user: up to this time instead, such as 2026-03-02T09:00:00Z.",
    ),
]
Longest = Annotated[
    str | None,
    typer.Option(
        "--longest",
        help="How long the longest-lived of these tokens lives on: 10m, 8h, 30d. The revocation is "
        "forgotten then. The token's own end, or a year, when left out.",
    ),
]
Final = Annotated[
    bool,
    typer.Option(
        "--final", help="Tell clients to stay away (4500), not to come with another token (4007)."
    ),
]
Edge = Annotated[
    str | None,
    typer.Option("--edge", help="Any edge's http://…; the running fleet's when left out."),
]
Operator = Annotated[
    str | None,
    typer.Option("--token", envvar="TAPEWIRE_TOKEN", help="For --edge: one with scope `admin`."),
]


def revoke(
    token: Token = None,
    token_id: TokenId = None,
    user: User = None,
    issued_before: IssuedBefore = None,
    longest: Longest = None,
    final: Final = False,
    edge: Edge = None,
    operator: Operator = None,
    run_dir: RunDir = None,
    as_json: Json = False,
) -> None:
    """Revoke a token, or all of a user's that were issued before now.

    Every service refuses them from now on, for as long as one could be good, and edges close the
    connections that came with them. Whoever is given a new token comes back with it.
    """
    if [token, token_id, user].count(None) != 2:
        raise typer.BadParameter("name one: the token, --id or --user")
    if issued_before is not None and user is None:
        raise typer.BadParameter("--issued-before goes with --user")
    asked: dict[str, Any] = {"final": final}
    if token is not None:
        asked |= named(sys.stdin.read() if token == "-" else token, as_json=as_json)
    elif token_id is not None:
        asked["tokenId"] = token_id
    else:
        asked["userId"] = user
    if issued_before is not None:
        asked["issuedBefore"] = issued_before.isoformat()
    if longest is not None:
        asked["expiresAt"] = (datetime.now(UTC) + duration(longest, "--longest")).isoformat()
    said: dict[str, Any] = _ask("POST", edge, operator, run_dir, as_json, asked)
    if as_json:
        print_json(said)
        return
    what = (
        f"token {said['tokenId']}"
        if said.get("tokenId")
        else f"tokens of {said['userId']} issued before {said['issuedBefore']}"
    )
    out.print(f"Revoked: {what}. Kept until {said['until']}.", markup=False)
    ends = asked.get("expiresAt")
    if ends is not None and datetime.fromisoformat(said["until"]) < datetime.fromisoformat(ends):
        out.print("It would be good for longer: revoke it again then.", style="yellow")


def revoked(
    edge: Edge = None, operator: Operator = None, run_dir: RunDir = None, as_json: Json = False
) -> None:
    """List what is revoked, without what concerns expired tokens only."""
    found: list[dict[str, Any]] = _ask("GET", edge, operator, run_dir, as_json, None)
    if as_json:
        print_json(found)
        return
    if not found:
        out.print("Nothing is revoked.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("token", "user", "issued before", "until", "by", "final"):
        table.add_column(column)
    for one in found:
        names = ("tokenId", "userId", "issuedBefore", "until", "revokedBy")
        table.add_row(*(str(one.get(name) or "") for name in names), "yes" if one["final"] else "")
    out.print(table)


def named(token: str, *, as_json: bool = False) -> dict[str, str]:
    """What a token says of itself, unverified: `tokenId`, and its end.

    Raises:
        Failure: it is none, or has no id.
    """
    import jwt

    try:
        claims: dict[str, Any] = jwt.decode(token.strip(), options={"verify_signature": False})
        ends = datetime.fromtimestamp(float(claims["exp"]), UTC)
    except (jwt.PyJWTError, KeyError, TypeError, ValueError, OverflowError, OSError):
        raise Failure("that is no token", as_json=as_json) from None
    if not isinstance(claims.get("jti"), str):
        remedy = "Revoke all that its user was given: --user."
        raise Failure("the token has no id (`jti`)", remedy=remedy, as_json=as_json)
    return {"tokenId": claims["jti"], "expiresAt": ends.isoformat()}


def _ask(
    method: str,
    edge: str | None,
    operator: str | None,
    run_dir: Path | None,
    as_json: bool,
    body: dict[str, Any] | None,
) -> Any:
    import httpx

    from tapewire.auth import mint

    if edge is None:
        fleet = the_fleet(run_dir, as_json=as_json)
        edge = fleet.urls.edge[0]
        me = os.environ.get("USER", "operator")
        operator = mint(fleet.jwt_secret, me, scopes=SCOPES, ttl_s=TTL_S)
    elif not operator:
        raise Failure("--edge needs --token or TAPEWIRE_TOKEN", as_json=as_json)
    try:
        answer = httpx.request(
            method,
            f"{edge.rstrip('/')}/v1/revocations",
            json=body,
            headers={"Authorization": f"Bearer {operator}"},
            timeout=WITHIN_S,
            trust_env=False,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        remedy = "Nothing was revoked, or nobody knows: try again, or another edge."
        message = f"{edge}: {error or type(error).__name__}"
        raise Failure(message, remedy=remedy, as_json=as_json) from None
    if not answer.is_success:
        try:
            words = answer.json()["message"]
        except (ValueError, KeyError, TypeError):
            words = answer.reason_phrase
        raise Failure(f"{edge}: HTTP {answer.status_code}: {words}", as_json=as_json)
    return answer.json()
