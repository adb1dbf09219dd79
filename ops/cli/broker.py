"""What a person would do in the broker's screen, done to the simulated gateway that `up` started."""

from __future__ import annotations

import http.client
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ops.cli.place import Place
from supervisor.home import Home
from supervisor.protocol import Exit, Refused

ANSWER_S = 10.0
LISTED = "riskd simulator help lists what there is"


class Door(msgspec.Struct):
    """HOME/run/simulator.json as far as it is needed here."""

    control_url: str


def operate(place: Place, operation: str, assignments: tuple[str, ...]) -> None:
    """Carry out one operation (`order account=… contract=MNQ side=buy size=2`) and print what came of it."""
    asked: dict[str, Any] = {"op": operation}
    asked.update(_field(operation, written) for written in assignments)
    answer = _post(_door(place.home), operation, asked)
    if operation == "help":
        for name, told in answer["ops"].items():
            fields = " ".join(f"{key}={_default(value)}" for key, value in told["fields"].items())
            place.page.line(f"{name} {fields}".rstrip())
            place.page.line(f"  {told['what']}")
    elif "status" in answer:
        place.page.line(f"order {answer['order_id']}: {answer['status']}")
    else:
        place.page.line(msgspec.json.encode(answer).decode() if answer else "done")


def _field(operation: str, written: str) -> tuple[str, Any]:
    key, sign, value = written.partition("=")
    if not sign or not key:
        raise Refused(Exit.USAGE, f"cannot {operation} with {written!r}: not KEY=VALUE", LISTED)
    try:
        return key, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return key, value


def _default(value: object) -> str:
    return "REQUIRED" if value == "required" else msgspec.json.encode(value).decode()


def _door(home: Home) -> str:
    try:
        return msgspec.json.decode(home.simulator.read_bytes(), type=Door).control_url
    except (OSError, msgspec.DecodeError):
        why = f"cannot trade: no simulated gateway of {home.folder} is known"
        hint = "riskd up starts one where the configuration says gateway: {kind: simulator}"
        raise Refused(Exit.NOT_RUNNING, why, hint) from None


def _post(url: str, operation: str, asked: dict[str, Any]) -> Any:
    door = urlsplit(url)
    connection = http.client.HTTPConnection(door.hostname or "", door.port, timeout=ANSWER_S)
    try:
        connection.request("POST", door.path or "/", msgspec.json.encode(asked))
        response = connection.getresponse()
        answer = msgspec.json.decode(response.read())
    except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
        why = f"cannot {operation}: the simulated gateway at {url} does not answer: {error}"
        raise Refused(Exit.NOT_RUNNING, why, "riskd up starts it again") from None
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise Refused(Exit.FAILED, f"cannot {operation}: {answer['error']}", LISTED)
    return answer
