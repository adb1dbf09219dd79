"""Logs: any thread leaves a raw record in about a microsecond; one thread renders, redacts and writes them.

    log = get_logger("riskd.connection")
    log.info("hub.connected", generation=3)

Records wait in a bounded queue that the writing thread polls, so that no caller ever wakes it. Values are
rendered later: hand over what does not change (numbers, text, Structs). Logs may be lost when a disk is full;
what must not be lost is history in the store.
"""

from __future__ import annotations

import atexit
import logging
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Protocol

from actors import hurry
from actors.clock import Clock, SystemClock
from actors.log_lines import CRITICAL, DEBUG, ERROR, INFO, LEVELS, WARNING, Fields, Raw, renderer
from actors.redaction import redact, redacted
from actors.rotation import RotatingFile

__all__ = ["Log", "adopt", "checkpoint", "flush", "get_logger", "redact", "redacted", "start", "stop"]

LIMIT = 20_000
"""Records that wait at most; beyond, the oldest are lost and counted."""
POLL_S = 0.02
FOREIGN = ("project_x_py", "pysignalr", "websockets", "httpx", "httpcore", "aiohttp", "asyncio", "apprise")
"""Libraries that talk too much below a warning, unless `logging.modules` asks for more of one by name.
pysignalr prints the token with its address at INFO: it is masked like every other secret."""
CHECKPOINTS = 8


class Settings(Protocol):
    """The `logging` part of the configuration, as far as it is used here."""

    @property
    def level(self) -> str: ...
    @property
    def json_lines(self) -> bool: ...
    @property
    def modules(self) -> Mapping[str, str]: ...
    @property
    def rotate(self) -> Rotation: ...
    @property
    def keep(self) -> timedelta: ...
    @property
    def compress(self) -> bool: ...


class Rotation(Protocol):
    @property
    def size_mb(self) -> int: ...
    @property
    def every(self) -> timedelta: ...


_waiting: deque[Raw] = deque(maxlen=LIMIT)
_lost = 0
_told_lost = 0
_wall: Callable[[], datetime] = SystemClock().wall
_loggers: dict[str, Log] = {}
_levels: dict[str, int] = {"": INFO}
_writer: Writer | None = None


class Log:
    """A named logger. `bind` gives one that adds fields to every line."""

    __slots__ = ("_bound", "name", "threshold")

    def __init__(self, name: str, threshold: int, bound: Fields | None = None) -> None:
        self.name, self.threshold, self._bound = name, threshold, bound

    def bind(self, **fields: object) -> Log:
        return Log(self.name, self.threshold, {**(self._bound or {}), **fields})

    def debug(self, event: str, /, **fields: object) -> None:
        if self.threshold <= DEBUG:
            self._leave(DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        if self.threshold <= INFO:
            self._leave(INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        if self.threshold <= WARNING:
            self._leave(WARNING, event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        if self.threshold <= ERROR:
            self._leave(ERROR, event, fields)

    def critical(self, event: str, /, **fields: object) -> None:
        self._leave(CRITICAL, event, fields)

    def exception(self, event: str, error: BaseException, /, **fields: object) -> None:
        """An error with its traceback."""
        self._leave(ERROR, event, {**fields, "error": error, "traceback": error.__traceback__})

    def _leave(self, level: int, event: str, fields: Fields) -> None:
        global _lost
        if len(_waiting) >= LIMIT:
            _lost += 1
        if self._bound:
            fields = {**self._bound, **fields}
        _waiting.append(Raw(_wall(), level, self.name, event, fields))


def get_logger(name: str) -> Log:
    """The logger of that name (`riskd.connection`); one and the same for every caller."""
    found = _loggers.get(name)
    if found is None:
        found = _loggers.setdefault(name, Log(name, _threshold(name)))
    return found


def checkpoint(number: int, name: str, /, **fields: object) -> None:
    """One of the eight points every start and every enforcement passes; written whatever the level is.

    1 service start, 2 config loaded, 3 gateway connected, 4 rules armed n of n, 5 loop running,
    6 event received, 7 rule evaluated, 8 enforcement triggered.
    """
    if not 1 <= number <= CHECKPOINTS:
        raise ValueError(f"cannot log checkpoint {number}: there are {CHECKPOINTS}")
    get_logger("riskd.checkpoint")._leave(INFO, name, {"checkpoint": number, **fields})


# ------------------------------------------------------------------------------- starting and stopping


def start(folder: Path, settings: Settings, clock: Clock) -> None:
    """Write `riskd.log`, `enforcement.log` and `errors.log` in `folder` from now on; again after a reload."""
    global _wall, _writer
    stop()
    _wall = clock.wall
    _set_levels(settings)
    _writer = Writer(folder, settings, clock)
    _take_over_stdlib(settings)
    adopt()
    _writer.start()


def stop() -> None:
    """Write what waits and close the files; records left afterwards wait for the next `start`."""
    global _writer
    writer, _writer = _writer, None
    if writer is not None:
        writer.stop()


def flush() -> None:
    """Write everything that waits, here and now: at exit and in a crash."""
    if _writer is not None:
        _writer.drain()


def adopt() -> None:
    """Bring foreign loggers under this one; again after connecting, because the SDK makes its own meanwhile.

    Each gets a silent handler: the SDK gives one on stdout to every logger that it finds without any.
    """
    if _writer is None:
        return
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and name.split(".")[0] in FOREIGN:
            logger.handlers[:] = [logging.NullHandler()]
            logger.propagate = True
            if logger.level not in (logging.NOTSET, *_chosen(name)):
                logger.setLevel(logging.NOTSET)
    for name in FOREIGN:
        logging.getLogger(name).setLevel(_levels.get(name, WARNING))


def _chosen(name: str) -> tuple[int, ...]:
    return (_levels[name],) if name in _levels else ()


def _set_levels(settings: Settings) -> None:
    _levels.clear()
    _levels[""] = LEVELS[settings.level]
    for module, level in settings.modules.items():
        _levels[module] = LEVELS[level]
    for log in list(_loggers.values()):
        log.threshold = _threshold(log.name)


def _threshold(name: str) -> int:
    """Of the nearest name above it that has a level: `riskd.rules.x`, `rules.x`, `riskd.rules`, ..."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        whole = ".".join(parts[:length])
        short = whole.removeprefix("riskd.")
        for candidate in (whole, short):
            if candidate in _levels:
                return _levels[candidate]
    return _levels[""]


# --------------------------------------------------------------------------------------- writing


class Intake(logging.Handler):
    """Takes records of the standard library's logging into the same queue."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: Fields = {"message": record}
        if record.exc_info and record.exc_info[1] is not None:
            fields |= {"error": record.exc_info[1], "traceback": record.exc_info[2]}
        get_logger(record.name)._leave(record.levelno, "log", fields)


class Writer:
    """The one thread that turns records into lines."""

    def __init__(self, folder: Path, settings: Settings, clock: Clock) -> None:
        size, every = settings.rotate.size_mb * 1_000_000, settings.rotate.every

        def file(name: str) -> RotatingFile:
            return RotatingFile(folder / f"{name}.log", size, every, settings.keep, settings.compress)

        self._all, self._enforcement, self._errors = file("riskd"), file("enforcement"), file("errors")
        self._line = renderer(settings.json_lines)
        self._clock = clock
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="logs", daemon=True)
        self.failed = 0
        """Batches that no file took."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()
        self.drain()
        with self._lock:
            for file in (self._all, self._enforcement, self._errors):
                file.close()

    def _poll(self) -> None:
        while not self._stopping.wait(POLL_S):
            hurry.stand_back(self._clock.mono, self._stopping.wait)
            self.drain()

    def drain(self) -> None:
        """Render and write what waits now; returns once that is in the files, whoever wrote it."""
        with self._lock:
            if not _waiting and _told_lost == _lost:
                return
            lines = [(self._line(raw), raw) for raw in self._taken()]
            now = self._clock.wall()
            self._write(self._all, [text for text, _ in lines], now)
            self._write(self._enforcement, [text for text, raw in lines if _is_enforcement(raw)], now)
            self._write(self._errors, [text for text, raw in lines if raw.level >= ERROR], now)

    def _taken(self) -> list[Raw]:
        global _told_lost
        found = [_waiting.popleft() for _ in range(len(_waiting))]
        if _told_lost != _lost:
            lost, _told_lost = _lost - _told_lost, _lost
            found.append(Raw(self._clock.wall(), WARNING, "riskd.logs", "logs.lost", {"records": lost}))
        return found

    def _write(self, file: RotatingFile, lines: list[str], now: datetime) -> None:
        if not lines:
            return
        try:
            file.write("".join(lines), now)
        except OSError:
            self.failed += 1


def _is_enforcement(raw: Raw) -> bool:
    return raw.logger.startswith("riskd.enforcement") or raw.fields.get("checkpoint") == CHECKPOINTS


# ------------------------------------------------------------------------------ the rest of the process


def _take_over_stdlib(settings: Settings) -> None:
    intake = next((h for h in logging.root.handlers if isinstance(h, Intake)), None)
    if intake is None:
        logging.root.addHandler(Intake())
    logging.root.setLevel(LEVELS[settings.level])
    for module, level in settings.modules.items():
        if module.split(".")[0] in FOREIGN:
            logging.getLogger(module).setLevel(LEVELS[level])


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    get_logger("riskd.crash").exception("crash.uncaught", error)
    flush()
    sys.stderr.write(redacted("".join(traceback.format_exception(kind, error, trace))))


def _log_uncaught_in_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None:
        name = "" if ended.thread is None else ended.thread.name
        get_logger("riskd.crash").exception("crash.thread", ended.exc_value, thread=name)


def catch_crashes() -> None:
    """Write an error that ends the process or a thread, without its secrets; for the daemon's entry point."""
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


atexit.register(flush)
