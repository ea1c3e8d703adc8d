"""What the page's code weighs on its way to a browser."""

from dataclasses import dataclass

from playwright.async_api import Page

CODE = (".js", ".css")


@dataclass(frozen=True)
class Weight:
    """Bytes as they were transferred (compressed), by file name."""

    files: dict[str, int]

    @property
    def total(self) -> int:
        """Of all scripts and styles together."""
        return sum(self.files.values())

    def of(self, begin: str) -> int:
        """Return the bytes of the files whose names begin so."""
        return sum(size for name, size in self.files.items() if name.startswith(begin))

    def __str__(self) -> str:
        rows = [f"{size / 1000:7.1f} kB  {name}" for name, size in sorted(self.files.items())]
        return "\n".join([*rows, f"{self.total / 1000:7.1f} kB  together"])


async def weigh(page: Page) -> Weight:
    """Ask the browser what it has loaded for this page, from a cold cache."""
    entries = await page.evaluate(
        "() => performance.getEntriesByType('resource')"
        ".map(({name, encodedBodySize}) => [new URL(name).pathname, encodedBodySize])"
    )
    names = {path.rpartition("/")[2]: size for path, size in entries if path.endswith(CODE)}
    return Weight(names)
