"""Faults that strike the hub connections there are, each once, on the wire."""

import asyncio

from ops.simulator.faults import Bite, Switch
from ops.simulator.gateway import Gateway
from ops.simulator.hubs import RECORD_END, Connection, invocation

DISCONNECT = '{"type":7,"error":"Connection closed with an error."}' + RECORD_END

#: What is written for the faults that are only a record.
RECORDS: dict[str, tuple[str, str]] = {
    "hub_malformed": ('{"type":1,"target":"GatewayUserOrder","arguments":[{' + RECORD_END,) * 2,
    "hub_unknown_type": ('{"type":99}' + RECORD_END,) * 2,
    "hub_unknown_key": (
        invocation("GatewayUserAccount", [{}], priority=1),
        invocation("GatewayQuote", ["", {}], priority=1),
    ),
    "hub_unknown_target": (invocation("GatewayNews", [{"text": "hello"}]),) * 2,
    "hub_empty_arguments": (invocation("GatewayUserPosition", []), invocation("GatewayQuote", [])),
    "hub_odd_payload": (
        invocation("GatewayUserPosition", ["flat"]),
        invocation("GatewayQuote", ["CON.F.US.MNQ.Z99", "?"]),
    ),
    "hub_completion_error": ('{"type":3,"invocationId":"1","error":"Failed to invoke."}' + RECORD_END,) * 2,
    "hub_logout": (invocation("GatewayLogout", [{"reason": "session ended"}]),) * 2,
}


async def strike(gateway: Gateway, switch: Switch, bites: Bite) -> None:
    """Carries out a fault that happens once: to the broker, or to the connections it is meant for."""
    if bites is Bite.BROKER:
        gateway.sessions.revoke_all()
        return
    await asyncio.gather(*(_strike(gateway, switch, each) for each in gateway.hubs.of(switch.hub)))


async def _strike(gateway: Gateway, switch: Switch, connection: Connection) -> None:
    match switch.name:
        case "hub_close":
            await connection.close()
        case "hub_reset":
            connection.reset()
        case "hub_close_error":
            await connection.send_last(DISCONNECT)
        case "hub_burst":
            for text in gateway.burst(connection, switch.count, switch.contract):
                connection.send(text)
        case name:
            connection.send(RECORDS[name][connection.hub == "market"])
