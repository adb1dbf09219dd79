"""What the daemon does: read `messages` first.

connection -> account -> rules -> enforcement -> connection, with timers, persistence and notices
beside them. In each folder `actor.py` is the thin shell around pure neighbours.
"""
