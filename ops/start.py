"""Starting and ending the guard: configuration, simulator, watchdog; and waiting until it guards.

What is started here outlives this process, and is ended again if the start fails. `talk` takes what is
said on the way.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from actors.clock import TEST_CLOCK, clock_from
from ops import client
from ops.watchdog.process import end_recorded
from supervisor.home import Home
from supervisor.identity import Identity, identity_of, recorded
from supervisor.protocol import Exit, OfAccounts, Refused
from supervisor.spawning import inherited, output_file, spawn

if TYPE_CHECKING:
    from config.load import Loaded

SIMULATOR_S = 20.0
BLIND_S = 5.0
"""How long a started daemon may be blind before `up` leaves it to its retries."""
LOOK_S = 0.1
STOP_S = 20.0
DEMO_LOGIN = ("demo-user", "demo-key-1234567890")

type Talk = Callable[[str], None]


class Sources(msgspec.Struct, frozen=True):
    """Where a configuration is read from: files (later ones win), single keys, names for `${NAME}`."""

    files: tuple[Path, ...]
    sets: tuple[str, ...] = ()
    env_file: Path | None = None


def read_configuration(sources: Sources, talk: Talk) -> Loaded:
    """The configuration as `up` would use it; every mistake is told and ends the command with 78."""
    from config.load import load
    from config.mistakes import ConfigurationMistakes, rendered

    try:
        loaded = load(sources.files, sources.sets, os.environ, sources.env_file)
    except ConfigurationMistakes as error:
        count = len(error.mistakes)
        talk(rendered(error.mistakes))
        raise Refused(
            Exit.BAD_CONFIG,
            f"cannot use this configuration: {count} mistake{'s' if count > 1 else ''}",
            "riskd config init writes a first one" if not sources.files[0].exists() else "",
        ) from None
    for warning in loaded.warnings:
        talk(f"warning: {warning}")
    return loaded


def settle_test_clock(loaded: Loaded) -> None:
    """Turn the test clock's instant into an offset for all children; refuse it where money is real."""
    if not os.environ.get(TEST_CLOCK):
        return
    from config.fields import is_loopback

    gateway = loaded.settings.gateway
    local = gateway.kind == "simulator" or all(is_loopback(url) for url in gateway.urls)
    if not loaded.settings.chaos.enabled or not local:
        why = f"cannot use {TEST_CLOCK}: it needs chaos.enabled and a gateway on loopback"
        raise Refused(Exit.BAD_CONFIG, why, f"unset {TEST_CLOCK}")
    try:
        clock_from(os.environ)
    except ValueError as error:
        raise Refused(Exit.BAD_CONFIG, str(error)) from None


def refuse_proxy(loaded: Loaded) -> None:
    """A proxy of the environment that would be asked for the gateway is said before the start: 78."""
    from config.proxies import proxied

    gateway = loaded.settings.gateway
    found = None if gateway.kind == "simulator" else proxied(gateway.urls, os.environ)
    if found is not None:
        raise Refused(Exit.BAD_CONFIG, found.why, found.hint)


def start_simulator(home: Home, loaded: Loaded, talk: Talk, arguments: Sequence[str] = ()) -> list[str]:
    """Start the simulated gateway on a free port; the settings that point the daemon at it."""
    end_recorded(home.simulator)
    with output_file(home.simulator_out) as errors:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "ops.simulator", *arguments],
            cwd=home.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    identity = identity_of(child.pid) or Identity(child.pid, 0)
    home.simulator.write_bytes(msgspec.json.encode(identity))
    urls = _first_line(child)
    if urls is None:
        end_recorded(home.simulator)
        raise Refused(Exit.FAILED, "cannot start the simulator", f"see {home.simulator_out}")
    home.simulator.write_bytes(msgspec.json.encode({**msgspec.structs.asdict(identity), **urls}))
    talk(f"simulated gateway at {urls['api_url']} (control {urls['control_url']})")
    sets = [f"gateway.{key}={urls[key]}" for key in ("api_url", "user_hub_url", "market_hub_url")]
    if loaded.settings.gateway.username is None:
        key = home.run / "simulator.key"
        key.write_text(DEMO_LOGIN[1], "utf-8")
        key.chmod(0o600)
        named = msgspec.json.encode({"file": str(key)}).decode()
        sets += [f"gateway.username={DEMO_LOGIN[0]}", f"gateway.api_key={named}"]
    return sets


def _first_line(child: subprocess.Popen[bytes]) -> dict[str, Any] | None:
    assert child.stdout is not None
    until = time.monotonic() + SIMULATOR_S
    line = b""
    with child.stdout:
        while not line.endswith(b"\n"):
            left = until - time.monotonic()
            if left <= 0 or not select.select([child.stdout], [], [], left)[0]:
                return None
            part = os.read(child.stdout.fileno(), 4096)
            if not part:
                return None
            line += part
    with suppress(msgspec.DecodeError):
        return msgspec.json.decode(line, type=dict[str, Any])
    return None


def watchdog_command(home: Home, loaded: Loaded, daemon: Sequence[str]) -> list[str]:
    limits = loaded.settings.watchdog
    return [
        *(sys.executable, "-P", "-m", "ops.watchdog", "--home", str(home.folder)),
        *("--heartbeat-deadline", f"{limits.heartbeat_deadline.total_seconds():g}"),
        *("--memory-limit-mb", str(limits.memory_limit_mb)),
        *("--", *daemon),
    ]


def daemon_arguments(sources: Sources, more_sets: Sequence[str]) -> list[str]:
    """What the daemon needs to read the same configuration again by itself."""
    arguments: list[str] = []
    for file in sources.files:
        arguments += ["--config", str(file.absolute())]
    for assignment in (*sources.sets, *more_sets):
        arguments += ["--set", assignment]
    if sources.env_file:
        arguments += ["--env-file", str(sources.env_file.absolute())]
    return arguments


def environment_of(daemon: Identity) -> dict[str, str]:
    """The environment of a running daemon: what its replacements need, secrets named by it included."""
    import psutil

    try:
        found = psutil.Process(daemon.pid).environ()
    except psutil.Error:
        return dict(os.environ)
    return inherited(found)


def detach(
    home: Home, command: Sequence[str], environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    return spawn(command, home, home.watchdog_out, environment)


class Phase(msgspec.Struct):
    """The part of HOME/run/daemon.json that tells where a starting daemon is."""

    pid: int = 0
    phase: str = ""


class Ended(msgspec.Struct):
    """HOME/run/ended.json as far as the command line reads it."""

    exit: int = 1
    why: str = "it ended"
    hint: str = ""
    left_open: tuple[str, ...] = ()


def wait_until_guarding(
    home: Home, watchdog: subprocess.Popen[bytes] | None, timeout_s: float, talk: Talk
) -> str:
    """The state once it is decided: guarding, locked, degraded, or blind and retrying.

    Raises Refused with the daemon's own reason when it ended, with exit 8 when nothing is decided in time.
    """
    until = time.monotonic() + timeout_s
    told, ready_at = "", 0.0
    while time.monotonic() < until:
        if watchdog is not None and watchdog.poll() is not None:
            raise ended(home, watchdog.returncode)
        watched = recorded(home.watchdog) is not None
        if watchdog is None and not watched:
            raise ended(home, Exit.FAILED)
        phase = read_phase(home)
        if phase.phase and phase.phase != told:
            told = phase.phase
            talk(f"  {told}")
        if told == "ready" and not ready_at:
            ready_at = time.monotonic()
        state = _state(home, phase.pid) if watched else None
        if state in ("guarding", "locked", "degraded", "safe_mode"):
            return state
        if state == "blind" and ready_at and time.monotonic() - ready_at > BLIND_S:
            return state
        time.sleep(LOOK_S)
    raise Refused(
        Exit.UNKNOWN,
        f"not guarding after {timeout_s:g} s ({told or 'no sign of the daemon'}); it goes on starting",
        f"riskd status shows it; its output is in {home.daemon_out}",
    )


def _state(home: Home, pid: int) -> str | None:
    """What the daemon with this pid says of itself; None while it does not answer."""
    try:
        raw = client.call(home, "status", OfAccounts(), deadline_s=2.0)
    except Refused as no:
        if no.code is Exit.NOT_PERMITTED:
            raise
        return None
    answer: dict[str, Any] = msgspec.msgpack.decode(raw)
    return str(answer["state"]) if not pid or answer["daemon"]["pid"] == pid else None


def read_phase(home: Home) -> Phase:
    """Where the running daemon is in its start; empty when none runs."""
    if recorded(home.daemon) is None:
        return Phase()
    with suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(home.daemon.read_bytes(), type=Phase)
    return Phase()


def ended(home: Home, code: int) -> Refused:
    """Why the guard ended, as it said itself."""
    why = Ended(code)
    with suppress(OSError, msgspec.DecodeError):
        why = msgspec.json.decode(home.ended.read_bytes(), type=Ended)
    known = why.exit if why.exit in (Exit.FAILED, Exit.BAD_CONFIG, Exit.NOT_PERMITTED) else Exit.FAILED
    return Refused(Exit(known), why.why, why.hint or f"its output is in {home.daemon_out}")


def left_open(home: Home) -> tuple[str, ...]:
    """What the guard that has just ended left open, in its own words."""
    with suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(home.ended.read_bytes(), type=Ended).left_open
    return ()


def wait_gone(home: Home, daemon: Identity | None, watchdog: Identity | None) -> None:
    """Wait until both have ended, then end the simulator; raises Refused (exit 8) where one goes on."""
    until = time.monotonic() + STOP_S
    while left := _left(daemon, watchdog):
        if time.monotonic() > until:
            why = f"the {' and the '.join(left)} did not end within {STOP_S:g} s"
            raise Refused(Exit.UNKNOWN, why, "riskd status")
        time.sleep(0.05)
    end_recorded(home.simulator)


def _left(daemon: Identity | None, watchdog: Identity | None) -> list[str]:
    """By the processes themselves: they remove their records while they still end."""
    both = (("daemon", daemon), ("watchdog", watchdog))
    return [name for name, was in both if was is not None and identity_of(was.pid) == was]


def end_by_force(home: Home) -> None:
    """The daemon does not answer (it is being replaced, or hangs): have the watchdog end it."""
    try:
        end_recorded(home.watchdog, STOP_S)
        end_recorded(home.daemon, STOP_S)
        end_recorded(home.simulator)
    except PermissionError:
        raise Refused(Exit.NOT_PERMITTED, "cannot end the guard: it belongs to another user") from None
