"""The nemesis: breaks one thing after another in a running guard, and holds what is left to the truth.

- `deeds`    what can be broken, chosen by a seed: pure
- `hands`    breaks it: signals, limits, the chaos command, the simulator's faults
- `acts`     what a trader does meanwhile, each with the end that it must come to
- `truth`    whether gateway, daemon, history and receipts agree at the end: pure
- `nemesis`  all of them together

Refused unless `chaos.enabled` is set and the gateway is on this machine.
"""
