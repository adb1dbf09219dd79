"""The loopback gateway: a broker for demonstrations, tests and measurements.

It speaks the ProjectX protocol (REST and the two SignalR hubs) on 127.0.0.1, so that the same SDK which
talks to the real gateway talks to it. Nothing here knows anything of the daemon: it is the other side of
the wire, and imports nothing of ours.

Reading order:

- `contracts`  what is traded: product codes, ticks, expiries
- `records`    accounts, orders, positions, trades, and the change that happened to one of them
- `prices`     last, bid, ask and the bars they leave behind
- `state`      everything the broker remembers, `fills` what an execution does to it
- `exchange`   the requests: place, cancel, modify, close (pure: `now` is an argument)
- `screen`     what a person does at the broker's screen, beyond requests: adopt, book, void, flip canTrade
- `shapes`     the payloads as they go over the wire
- `sessions`, `limits`   tokens and rate limits
- `faults`     what can be made to go wrong, and where it bites
- `rest`, `hubs`   the two halves of the protocol
- `control`    the control endpoint: trade, move prices, switch faults
- `market`     the seeded random market
- `scenario`   an initial state and timed steps from YAML
- `gateway`    all of it on one asyncio loop, `server` its sockets: `serve(settings, clock)`
- `thread`     the same from synchronous code, `remote` as a process of its own
"""
