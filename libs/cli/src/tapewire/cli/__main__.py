"""Entry point of `tapewire` and of `python -m tapewire.cli`."""

import sys

try:
    from tapewire.cli.app import app
    from tapewire.cli.console import Failure, fail
except ModuleNotFoundError as missing:
    if (missing.name or "").startswith("tapewire"):
        raise
    # An SDK's dependencies are few on purpose; the command's are those of the fleet.
    sys.exit(
        f"tapewire: {missing.name} is not installed. The command comes with the extra: "
        "pip install '.[fleet]'"
    )


def main() -> None:
    """Runs the command line; a failure that we know is told in words, without a traceback."""
    try:
        app()
    except Failure as failure:
        sys.exit(fail(failure))
    except BrokenPipeError:  # `tapewire tail | head`
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
