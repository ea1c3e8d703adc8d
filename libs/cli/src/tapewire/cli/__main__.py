"""Entry point of `tapewire` and of `python -m tapewire.cli`."""

import sys

from tapewire.cli.app import app
from tapewire.cli.console import Failure, fail


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
