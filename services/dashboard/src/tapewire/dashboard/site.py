"""The built application as static files, with the headers that keep a browser safe and quick."""

from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ASSETS = "assets/"  # Vite puts a hash of the content into these names
FOREVER = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"

NOT_BUILT = """\
<!doctype html><html lang="en"><title>Tapewire</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui; margin: 15vh auto; max-width: 36rem; padding: 0 1rem }
</style>
<h1>The dashboard is not built yet</h1>
<p>Run <code>npm ci &amp;&amp; npm run build</code> at the root of the project, then load this page
again.</p>
"""


class Site(StaticFiles):
    """Serves a directory; says what to do when nothing was built into it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory=directory, html=True, check_dir=False)
        self._index = directory / "index.html"

    def is_built(self) -> bool:
        """Return whether there is an application to serve."""
        return self._index.is_file()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, if there is anything to serve."""
        if self.is_built():
            await super().__call__(scope, receive, send)
        else:
            await HTMLResponse(NOT_BUILT, status_code=503)(scope, receive, send)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer one request, cacheable for ever when the name tells the content."""
        response = await super().get_response(path, scope)
        is_asset = path.startswith(ASSETS) and response.status_code == 200
        response.headers["Cache-Control"] = FOREVER if is_asset else REVALIDATE
        return response


class SafeHeaders:
    """ASGI middleware: what a page of ours may load, and who may frame it (CSP level 3).

    Args:
        app: the application.
        connect: HTTP bases that the page talks to besides its own origin.
    """

    def __init__(self, app: ASGIApp, connect: tuple[str, ...]) -> None:
        self._app = app
        sources = " ".join(["'self'", *_origins(connect)])
        self._policy = "; ".join(
            [
                "default-src 'self'",
                # Dialogs and toasts of the component libraries bring a <style> of their own.
                "style-src 'self' 'unsafe-inline'",
                "img-src 'self' data:",
                f"connect-src {sources}",
                "object-src 'none'",
                "base-uri 'none'",
                "frame-ancestors 'none'",
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Referrer-Policy", "no-referrer")
                if not scope["path"].startswith("/docs"):  # FastAPI's page loads its own scripts
                    headers.setdefault("Content-Security-Policy", self._policy)
            await send(message)

        await self._app(scope, receive, send_on if scope["type"] == "http" else send)


def _origins(urls: tuple[str, ...]) -> list[str]:
    """Return each URL's origin, as HTTP and as WebSocket, once."""
    origins: dict[str, None] = {}
    for url in filter(None, urls):
        scheme, netloc, *_ = urlsplit(url)
        secure = "s" if scheme in {"https", "wss"} else ""
        origins |= {f"http{secure}://{netloc}": None, f"ws{secure}://{netloc}": None}
    return list(origins)
