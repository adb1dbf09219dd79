"""What is true of one account: positions, orders, fills, the day's P&L and marks.

`marks`, `holdings`, `ledger` and `bounds` are pure parts; `state.apply` puts them together, one
event at a time; `actor` numbers the results and wakes whoever subscribed.
"""
