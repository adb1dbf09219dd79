"""The systemd unit.

Two usual restrictions are left out on purpose. `MemoryDenyWriteExecute`: the gateway SDK imports polars,
whose check of the processor writes a page and runs it. `PrivateUsers`: it would turn the kernel's word on
who calls the control socket into "nobody".
"""

from __future__ import annotations

from ops.units.layout import RUNTIME, Layout, Service, command, environment

WATCHDOG_S = 120
"""Longer than the watchdog's own longest silence: a start without a heartbeat, then the longest pause."""

# Process: the watchdog's crash must not take the daemon with it (the next watchdog adopts it), and a daemon
# that runs out of memory is the watchdog's to replace. An end by `riskd down` (exit 0) is meant.
_LIFE = f"""\
Restart=always
RestartPreventExitStatus=0
RestartSec=200ms
TimeoutStartSec=infinity
WatchdogSec={WATCHDOG_S}
TimeoutStopSec=30
KillMode=process
OOMPolicy=continue
OOMScoreAdjust=-500
"""

_FENCE = """\
UMask=0077
LimitCORE=0
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateMounts=yes
DevicePolicy=closed
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
"""


def unit(where: Layout, service: Service) -> str:
    """The text of the unit file."""
    variables = "\n".join(
        f"Environment={quoted(f'{name}={value}')}" for name, value in environment(where).items()
    )
    writes = " ".join(quoted(path) for path in (str(where.home), *service.writes))
    return f"""\
# Written by `riskd service install`; changes are lost when it runs again.
[Unit]
Description=riskd keeps a futures account inside its limits ({where.label})
Wants=network-online.target
After=network-online.target time-sync.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={" ".join(quoted(word.replace("$", "$$")) for word in command(where, service))}
WorkingDirectory={where.home}
{variables}
User={where.account}
Group={where.group}
RuntimeDirectory={RUNTIME.rpartition("/")[2]}
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
ReadWritePaths={writes}
{_LIFE}{_FENCE}
[Install]
WantedBy=multi-user.target
"""


def quoted(word: str) -> str:
    """One word as a unit file reads it, specifiers left as they are."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    plain = plain.replace("\n", "\\n").replace("\t", "\\t")
    return f'"{plain}"' if plain != word or not word or any(c in word for c in " ';#") else word
