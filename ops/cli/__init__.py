"""The command line: `riskd`, `risk-status` and `risk-admin`. Parse, one call to the daemon, print.

- `table`   every command and the module that holds it, imported when it is called
- `place`   where a command acts and how it asks the daemon; `page` where it prints; `words` how values read
- `reading`, `rules`, `story`, `watch`, `logs`   what people look at
- `acting`, `lifecycle`, `admin`, `config`, …      what changes something

Nothing here imports the gateway SDK, the database layer or the daemon. Configuration is read by `up`,
`reload` and `config` alone.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

EVERYWHERE = ("--home", "--config", "--set", "--env-file", "--color")
"""Options that may stand anywhere on the line; each takes a value."""
OWN_ARGUMENTS = ("simulator", "demo")
"""Commands whose arguments belong to somebody else from there on."""
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """`riskd ARGS`; the exit codes are those of the contract."""
    return _run(list(sys.argv[1:] if argv is None else argv))


def status_main() -> int:
    """`risk-status ARGS` is `riskd status ARGS`."""
    return main(["status", *sys.argv[1:]])


def admin_main() -> int:
    """`risk-admin` is an interactive menu over the admin commands."""
    from ops.cli import menu

    return _guarded(lambda: menu.run(sys.argv[1:]))


def _run(argv: list[str]) -> int:
    from ops.cli.root import root

    return _guarded(lambda: root().main(hoisted(argv), prog_name="riskd", standalone_mode=False))


def hoisted(argv: Sequence[str]) -> list[str]:
    """The arguments with those that may stand anywhere put first, where the root command reads them."""
    first: list[str] = []
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        name, sign, _ = word.partition("=")
        if word == "--" or (word in OWN_ARGUMENTS and not rest):
            rest += [word, *words]
        elif name in EVERYWHERE:
            first.append(word)
            if not sign:
                first += [value] if (value := next(words, None)) is not None else []
        else:
            rest.append(word)
    return first + rest


def _guarded(run: object) -> int:
    import click

    from ops.cli.page import ReaderGone, talk
    from supervisor.protocol import Exit, Refused

    assert callable(run)
    try:
        code = run()
        sys.stdout.flush()
    except Refused as no:
        talk(str(no))
        return int(no.code)
    except click.ClickException as error:
        error.show()
        return int(Exit.USAGE)
    except (click.Abort, KeyboardInterrupt):
        talk("interrupted")
        return INTERRUPTED
    except (ReaderGone, BrokenPipeError):
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.GOOD)
    return code if isinstance(code, int) else int(Exit.GOOD)
