"""The commands, in the order in which `tapewire --help` lists them."""

from importlib.metadata import version

import typer

from tapewire.cli import doctor, inbox, publish, rejected, running, status, tail, token

app = typer.Typer(
    name="tapewire",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,  # they may hold secrets
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Where the fleet is, it writes to `.run/fleet.json`. `TAPEWIRE_RUN_DIR` moves that.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(version("tapewire"))
        raise typer.Exit


@app.callback()
def tapewire(
    _: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and end."
    ),
) -> None:
    """Carry a trading desk's events to the people and programs that must see them."""


app.command()(running.up)
app.command()(running.down)
app.command()(status.status)
app.add_typer(token.app, name="token")
app.command()(publish.publish)
app.command()(tail.tail)
app.command()(doctor.doctor)
app.add_typer(inbox.app, name="inbox")
app.add_typer(rejected.app, name="rejected")
