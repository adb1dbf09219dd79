"""The guard as a service of the machine: started at boot, under an account of its own.

The trader then can neither end it nor write what it runs on, and talks to it through the control socket.

- `layout`    where a service of a given name puts what, per kind of system
- `systemd`, `launchd`, `windows`   the unit files, as text
- `steps`     what is to be done, as data, and in words; `carry` does it, below another root if need be
- `plan`      installing and removing as lists of steps: pure
- `intake`    what the caller's configuration, secrets and home mean for a service
- `access`    who could change or read a file, by owners and modes
- `standing`  which promises an installed service keeps
"""
