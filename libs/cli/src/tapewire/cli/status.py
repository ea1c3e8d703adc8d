"""`tapewire status`: what runs, and whether it is ready."""

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from tapewire.cli.console import out, print_json
from tapewire.cli.options import Json, RunDir, the_fleet
from tapewire.cli.running import show_where
from tapewire.fleet.journal import Kind, Reader
from tapewire.fleet.record import Fleet

if TYPE_CHECKING:
    import httpx

PROBE_TIMEOUT_S = 3.0


def status(run_dir: RunDir = None, as_json: Json = False) -> None:
    """Show each service of the running fleet.

    Exit code 0 when all are ready, 1 when one is not, 3 when no fleet runs.
    """
    fleet = the_fleet(run_dir, as_json=as_json)
    rows = asyncio.run(look(fleet))
    if as_json:
        print_json({"engine": fleet.engine, "started_at": fleet.started_at, "services": rows})
    else:
        _show(fleet, rows)
    if not all(row["ready"] for row in rows):
        raise typer.Exit(1)


async def look(fleet: Fleet) -> list[dict[str, Any]]:
    """A row for each service: name, url, pid, ready, what is wrong, deaths since the start."""
    import httpx

    from tapewire.fleet.programs import ready_path

    deaths = Counter(
        entry.name
        for entry in Reader(fleet.run_dir / "journal.jsonl").new()
        if entry.kind is Kind.DIED
    )
    urls = {f"edge-{number}": url for number, url in enumerate(fleet.urls.edge, start=1)}
    urls |= {name: url for name, url in fleet.urls.model_dump().items() if name != "edge"}
    probes = {name: url + ready_path(name) for name, url in urls.items()}
    if fleet.engine == "compose":  # one proxy in front of all, which shows no service's own state
        urls = {"haproxy": fleet.urls.dashboard}
        probes = {"haproxy": fleet.urls.dashboard + "/haproxy/healthz"}
    async with httpx.AsyncClient(timeout=PROBE_TIMEOUT_S, trust_env=False) as client:
        answers = await asyncio.gather(*(probe(client, url) for url in probes.values()))
    return [
        {
            "name": name,
            "url": url,
            "pid": fleet.pids.get(name),
            "ready": not problems,
            "problems": problems,
            "deaths": deaths[name],
        }
        for (name, url), problems in zip(urls.items(), answers, strict=True)
    ]


async def probe(client: "httpx.AsyncClient", url: str) -> dict[str, str]:
    """What keeps a service from being ready, by check; empty when it is."""
    import httpx

    try:
        answer = await client.get(url)
    except httpx.HTTPError as error:
        return {"http": str(error) or type(error).__name__}
    if answer.is_success:
        return {}
    try:
        checks: dict[str, str] = answer.json()["checks"]
        return {name: reason for name, reason in checks.items() if reason != "ok"}
    except (ValueError, KeyError):
        return {"http": f"status {answer.status_code}"}


def _show(fleet: Fleet, rows: list[dict[str, Any]]) -> None:
    show_where(fleet, out)
    table = Table(box=None, pad_edge=True, header_style="dim")
    for heading in ("service", "pid", "ready", "deaths", "url"):
        table.add_column(heading)
    for row in rows:
        ready = "[green]yes[/]" if row["ready"] else "[red]no[/]"
        problems = "; ".join(f"{name}: {reason}" for name, reason in row["problems"].items())
        deaths = str(row["deaths"]) if row["deaths"] else ""
        table.add_row(row["name"], str(row["pid"] or ""), ready, deaths, problems or row["url"])
    out.print()
    out.print(table)
