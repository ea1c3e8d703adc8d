"""`tapewire token`: a token that the fleet accepts, and how one is taken back."""

import os
from typing import Annotated

import typer

from tapewire.cli import revoke
from tapewire.cli.console import Failure, print_json
from tapewire.cli.options import Json, RunDir, duration, names, the_fleet

User = Annotated[
    str | None, typer.Option("--user", "-u", help="Whose token: the claim `sub`. Required.")
]
Scopes = Annotated[
    list[str] | None,
    typer.Option(
        "--scope",
        "-s",
        help="What it may do; repeat, or separate by commas. A trader's scopes when left out; "
        "a producer needs `events:write`.",
    ),
]
Ttl = Annotated[str, typer.Option("--ttl", help="How long it lives: 90s, 10m, 8h, 1d.")]
Supervises = Annotated[
    list[str] | None,
    typer.Option("--supervises", help="A further user whose events it may see; repeat."),
]


app = typer.Typer(invoke_without_command=True)


@app.callback()
def token(
    context: typer.Context,
    user: User = None,
    scope: Scopes = None,
    ttl: Ttl = "10m",
    supervises: Supervises = None,
    run_dir: RunDir = None,
    as_json: Json = False,
) -> None:
    """Print a token that this fleet accepts; `token revoke` takes one back.

    Signed with the running fleet's secret, or with `TAPEWIRE_JWT_SECRET` where that is set.
    """
    if context.invoked_subcommand is not None:
        return
    if user is None:
        raise typer.BadParameter("whose token? Name a --user.")
    from tapewire.auth import DEFAULT_SCOPES, SCOPES, mint

    scopes = names(scope) or list(DEFAULT_SCOPES)
    if unknown := sorted(set(scopes) - SCOPES):
        known = " ".join(sorted(SCOPES))
        raise Failure(
            f"unknown scope: {', '.join(unknown)}", remedy=f"Scopes: {known}", as_json=as_json
        )
    ttl_s = duration(ttl, "--ttl").total_seconds()
    secret = os.environ.get("TAPEWIRE_JWT_SECRET")
    if not secret:
        secret = the_fleet(run_dir, as_json=as_json).jwt_secret
    made = mint(secret, user, scopes=scopes, ttl_s=ttl_s, supervises=names(supervises))
    if as_json:
        print_json({"token": made, "user": user, "scopes": scopes, "expires_in_s": int(ttl_s)})
    else:
        print(made)


app.command()(revoke.revoke)
app.command()(revoke.revoked)
