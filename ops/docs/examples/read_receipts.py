"""Read what was enforced and whether it was seen to be done, straight from the control socket.

    .venv/bin/python ops/docs/examples/read_receipts.py --home HOME

Nothing of riskd is imported, to show the framing: four bytes of length, then one msgpack array
[version, id, command, deadline_ms, body]. See reference/socket.md.
"""

from __future__ import annotations

import argparse
import socket
import struct
import sys
from pathlib import Path
from typing import Any

import msgspec

VERSION, DEADLINE_MS = 1, 5000


def ask(home: Path, command: str, body: dict[str, Any]) -> Any:
    """The daemon's answer to one command; ends the program with the daemon's own words where it is no."""
    pointer = home / "run" / "control.path"
    path = pointer.read_text().strip() if pointer.exists() else str(home / "run" / "control.sock")
    request = msgspec.msgpack.encode([VERSION, "receipts-1", command, DEADLINE_MS, body])
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(DEADLINE_MS / 1000)
        connection.connect(path)
        connection.sendall(struct.pack(">I", len(request)) + request)
        with connection.makefile("rb") as stream:
            (length,) = struct.unpack(">I", stream.read(4))
            _, _, code, error, hint, answer = msgspec.msgpack.decode(stream.read(length))
    if code:
        print(f"{error}. {hint}", file=sys.stderr)
        raise SystemExit(code)
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--home", required=True, type=Path)
    home = parser.parse_args().home
    for receipt in ask(home, "history", {"kind": "enforcement", "limit": 1000})["history"]:
        calls = ", ".join(f"{call['call']} {call['contract']} {call['outcome']}" for call in receipt["calls"])
        print(f"{receipt['at']} {receipt['account']} for {', '.join(receipt['rules'])}: {calls or 'no call'}")
        print("  seen to be done" if receipt["verified"] else "  NOT seen to be done yet")


if __name__ == "__main__":
    main()
