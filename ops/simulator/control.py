"""The control endpoint: what a person could do at the broker's screen, and what a test needs beside it.

One POST of `{"op": ..., ...}` per operation. Accounts are given by id or name, contracts by full id or by
the exchange's root (MNQ: its front month), prices and dollars as numbers or as text ("0.36").
"""

from typing import get_args

import msgspec
from aiohttp import web

from ops.simulator.inspection import INSPECTION
from ops.simulator.shapes import Json
from ops.simulator.stage import Operation, Refused, Stage
from ops.simulator.trading import TRADING


class Help(Operation, tag="help"):
    """Lists the operations and their fields."""

    async def run(self, stage: Stage) -> Json:
        return {"ops": {kind.__struct_config__.tag: _described(kind) for kind in OPERATIONS}}


OPERATIONS: tuple[type[Operation], ...] = (Help, *get_args(TRADING), *get_args(INSPECTION))
_DECODER: msgspec.json.Decoder[Operation] = msgspec.json.Decoder(Help | TRADING | INSPECTION)


class Control:
    """Carries out operations on a running gateway."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def run(self, request: bytes) -> tuple[int, bytes]:
        """Status and JSON answer: 200 with the result, 400 with `error` when it cannot be done."""
        try:
            result = await _DECODER.decode(request).run(self._stage)
        except (Refused, ValueError, msgspec.DecodeError) as error:
            return 400, msgspec.json.encode({"error": str(error)})
        return 200, msgspec.json.encode(result)

    async def post(self, request: web.Request) -> web.StreamResponse:
        status, body = await self.run(await request.read())
        return web.Response(status=status, body=body, content_type="application/json")


def _described(kind: type[Operation]) -> Json:
    what = " ".join((kind.__doc__ or "").split())
    fields = {field.encode_name: _default(field) for field in msgspec.structs.fields(kind)}
    return {"what": what, "fields": fields}


def _default(field: msgspec.structs.FieldInfo) -> object:
    """What a field is when it is left out; "required" when it cannot be."""
    if field.required:
        return "required"
    made = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return msgspec.to_builtins(made)
