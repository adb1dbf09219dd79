"""The loopback gateway: a broker for demonstrations, tests and measurements.

It speaks the ProjectX protocol (REST and the two SignalR hubs) on 127.0.0.1, so that the same SDK which
talks to the real gateway talks to it. Nothing here knows anything of the daemon: it is the other side of
the wire, and imports nothing of ours.

Reading order:

- `contracts`  what is traded: product codes, ticks, expiries
- `records`    accounts, orders, positions, trades, and the change that happened to one of them
- `prices`     last, bid, ask and the bars they leave behind
- `state`      everything the broker remembers; `fills` what an execution does to it
- `tickets`    a new order; `matching` when a resting one fills
- `exchange`   the requests: place, cancel, modify, close (pure: `now` is an argument)
- `screen`     what happens beyond requests: an adopted position, a booked or voided trade, canTrade
- `shapes`     the payloads as they go over the wire; `requests` the bodies that come in
- `sessions`, `limits`   tokens and rate limits
- `faults`     what can be made to go wrong, and where it bites; `sockets` carries out the hub's
- `rest`, `front`   the REST endpoints, and what a request passes before it reaches one
- `hubs`       negotiation, handshake, subscriptions, events out
- `gateway`    the exchange with its clock and what it tells its hubs
- `control`    the control endpoint; its operations are in `trading` and `inspection`, on a `stage`
- `market`     the seeded random market; `scenario` an initial state and timed steps from YAML
- `server`     all of it on its sockets: `serve(settings, clock)`
- `thread`     the same from synchronous code; `remote` as a process of its own
"""
