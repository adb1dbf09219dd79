"""The launchd property list."""

from __future__ import annotations

import plistlib

from ops.units.layout import Layout, Service, command, environment


def plist(where: Layout, service: Service) -> str:
    """The text of the property list: started at boot, kept alive unless it ends by itself with 0."""
    return plistlib.dumps(
        {
            "Label": where.unit.stem,
            "ProgramArguments": command(where, service),
            "EnvironmentVariables": environment(where),
            "WorkingDirectory": str(where.home),
            "UserName": where.account,
            "GroupName": where.group,
            "Umask": 0o077,
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 1,
            "ExitTimeOut": 30,
            # The daemon outlives a watchdog that crashed; the next one adopts it.
            "AbandonProcessGroup": True,
            # Not to be slowed down as a background job.
            "ProcessType": "Interactive",
            "HardResourceLimits": {"Core": 0},
            "StandardOutPath": str(where.home / "logs" / "watchdog.out"),
            "StandardErrorPath": str(where.home / "logs" / "watchdog.out"),
        },
        sort_keys=False,
    ).decode()
