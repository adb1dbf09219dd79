"""Logs: cheap for whoever writes, complete where they are read, and never with a secret in them."""

from __future__ import annotations

import gzip
import json
import logging
import os
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import logs, redaction
from actors.clock import ManualClock
from actors.messages import LinkState, Now
from actors.rotation import RotatingFile
from config.settings import Logging

NOW = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def folder(tmp_path: Path, clock: ManualClock) -> Iterator[Path]:
    handlers, level = logging.root.handlers[:], logging.root.level
    logs._waiting.clear()
    logs.start(tmp_path, Logging(), clock)
    yield tmp_path
    logs.stop()
    logs._waiting.clear()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
def no_known_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_known", frozenset())
    monkeypatch.setattr(redaction, "_names", frozenset())
    monkeypatch.setattr(redaction, "_values", None)


def lines(folder: Path, file: str = "riskd") -> list[dict[str, object]]:
    logs.flush()
    path = folder / f"{file}.log"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_line_says_when_what_where_and_with_which_values(folder: Path) -> None:
    logs.get_logger("riskd.connection").warning("hub.lost", generation=3, state=LinkState.BLIND)

    assert lines(folder) == [
        {
            "at": "2026-03-02T15:30:00.000000Z",
            "level": "warning",
            "event": "hub.lost",
            "logger": "riskd.connection",
            "generation": 3,
            "state": "blind",
        }
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (NOW, "2026-03-02T15:30:00.000000Z"),
        (Fraction(1, 3), "1/3"),
        (Now(NOW, 1.5), {"wall": "2026-03-02T15:30:00Z", "mono": 1.5}),
        (ValueError("no"), "ValueError: no"),
        ({"b", "a"}, ["a", "b"]),
        ((1, 2), [1, 2]),
        ("Zürich ✓", "Zürich ✓"),
        (float("nan"), None),
    ],
)
def test_every_value_has_a_rendering(folder: Path, value: object, shown: object) -> None:
    logs.get_logger("riskd.x").info("x", value=value)

    found = lines(folder)[0]["value"]
    assert found == shown or (shown is None and found != found)


def test_a_line_is_plain_ascii(folder: Path) -> None:
    logs.get_logger("riskd.x").info("x", name="Zürich ✓")
    logs.flush()

    assert (folder / "riskd.log").read_bytes().isascii()


def test_fields_never_hide_what_every_line_says(folder: Path) -> None:
    logs.get_logger("riskd.x").info("x", event="inner", level="high", at="noon", logger="me")

    (line,) = lines(folder)
    assert (line["event"], line["event_"], line["level_"], line["at_"]) == ("x", "inner", "high", "noon")


def test_a_bound_logger_adds_its_fields(folder: Path) -> None:
    log = logs.get_logger("riskd.account").bind(account="A", seq=1)
    log.info("x", seq=2)

    (line,) = lines(folder)
    assert (line["account"], line["seq"]) == ("A", 2)


def test_an_error_comes_with_its_traceback(folder: Path) -> None:
    try:
        raise ValueError("no such thing")
    except ValueError as error:
        logs.get_logger("riskd.x").exception("x.failed", error, attempt=1)

    (line,) = lines(folder)
    assert line["error"] == "ValueError: no such thing"
    assert "test_an_error_comes_with_its_traceback" in str(line["traceback"])


def test_what_cannot_be_rendered_costs_no_other_line(folder: Path) -> None:
    loop: list[object] = []
    loop.append(loop)
    log = logs.get_logger("riskd.x")
    log.info("before")
    log.info("broken", loop=loop)
    log.info("after")

    assert [line["event"] for line in lines(folder)] == ["before", "broken", "after"]


def test_three_files_take_what_belongs_to_them(folder: Path) -> None:
    logs.get_logger("riskd.enforcement").info("close.sent")
    logs.get_logger("riskd.account").error("drift")
    logs.checkpoint(8, "enforcement triggered", account="A")
    logs.get_logger("riskd.account").info("x")

    assert [line["event"] for line in lines(folder)] == ["close.sent", "drift", "enforcement triggered", "x"]
    assert [line["event"] for line in lines(folder, "enforcement")] == ["close.sent", "enforcement triggered"]
    assert [line["event"] for line in lines(folder, "errors")] == ["drift"]


def test_checkpoints_are_written_whatever_the_level(tmp_path: Path, folder: Path, clock: ManualClock) -> None:
    logs.start(folder, Logging(level="critical"), clock)
    for number in range(1, 9):
        logs.checkpoint(number, f"point {number}", event="inner")

    assert [line["checkpoint"] for line in lines(folder)] == list(range(1, 9))


@pytest.mark.parametrize("number", [0, 9, -1])
def test_there_are_eight_checkpoints(number: int) -> None:
    with pytest.raises(ValueError, match="there are 8"):
        logs.checkpoint(number, "x")


def test_levels_hold_for_a_module_and_what_is_below_it(folder: Path, clock: ManualClock) -> None:
    before = logs.get_logger("riskd.rules.max_contracts")
    logs.start(folder, Logging(level="warning", modules={"rules": "debug", "riskd.account": "error"}), clock)
    before.debug("rules below")
    logs.get_logger("riskd.rules").debug("rules")
    logs.get_logger("riskd.rulesets").debug("another word")
    logs.get_logger("riskd.account").warning("account")
    logs.get_logger("riskd.timers").info("timers")
    logs.get_logger("riskd.timers").warning("timers loud")

    assert [line["event"] for line in lines(folder)] == ["rules below", "rules", "timers loud"]


def test_text_instead_of_json_where_that_is_asked_for(folder: Path, clock: ManualClock) -> None:
    logs.start(folder, Logging.model_validate({"json": False}), clock)
    logs.get_logger("riskd.x").info("hub.connected", generation=3)
    logs.flush()

    assert "event='hub.connected' logger='riskd.x' generation=3" in (folder / "riskd.log").read_text()


def test_other_libraries_flow_into_the_same_file(folder: Path) -> None:
    logging.getLogger("somebody.else").warning("said %s", "this")

    (line,) = lines(folder)
    assert (line["logger"], line["message"], line["level"]) == ("somebody.else", "said this", "warning")


def test_an_sdk_logger_with_its_own_outlet_is_brought_under_this_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The SDK gives its loggers a handler on stdout and cuts them off when it connects."""
    sdk = logging.getLogger("project_x_py.client")
    outlet = logging.StreamHandler(sys.stdout)
    sdk.addHandler(outlet)
    sdk.propagate, level = False, sdk.level
    sdk.setLevel(logging.DEBUG)
    try:
        logs.adopt()
        sdk.info("chatter")
        sdk.warning("trouble")
        assert [line["message"] for line in lines(folder)] == ["trouble"]
        assert capsys.readouterr().out == ""
        assert sdk.handlers, "a logger without any gets one on stdout the next time the SDK looks"
    finally:
        sdk.handlers.clear()
        sdk.setLevel(level)


def test_pysignalr_is_not_heard_below_a_warning(folder: Path) -> None:
    logging.getLogger("pysignalr.client").info("https://rtc.example/hubs/user?access_token=%s", JWT)

    assert lines(folder) == []


# --------------------------------------------------------------------------------------- secrets


@pytest.mark.parametrize(
    "text",
    [
        f"wss://rtc.example/hubs/user?access_token={JWT}&x=1",
        f"Authorization: Bearer {JWT}",
        "Authorization: Bearer s3cr3t-word-1",
        f"token is {JWT}",
        '{"apiKey": "s3cr3t-word-2"}',
        "{'api_key': 's3cr3t-word-3'}",
        "password=s3cr3t-word-4",
        'loginKey: "s3cr3t-word-5"',
        "access_token%3Ds3cr3t-word-6",
    ],
)
@pytest.mark.usefixtures("no_known_secrets")
def test_what_is_a_secret_by_its_shape_is_masked_wherever_it_stands(folder: Path, text: str) -> None:
    log = logs.get_logger("riskd.x")
    log.info(text)
    log.info("as a field", url=text, nested={"deep": [text]}, error=ValueError(text))
    logging.getLogger("httpx").warning("as an argument: %s", text)
    logs.flush()

    written = (folder / "riskd.log").read_text()
    assert "s3cr3t" not in written
    assert JWT.split(".")[1] not in written
    assert JWT.split(".")[2] not in written
    assert written.count("***") >= 5
    for line in written.splitlines():
        json.loads(line)


@pytest.mark.parametrize("secret", ["hunter2hunter2", 'quote"and\\slash', "a b&c=d/e", "p.*ss(word"])
@pytest.mark.usefixtures("no_known_secrets")
def test_a_known_secret_is_masked_in_every_spelling(folder: Path, secret: str) -> None:
    from urllib.parse import quote

    logs.redact(secret)
    log = logs.get_logger("riskd.x")
    log.info("x", plain=secret, url=f"https://h/{quote(secret, safe='')}", inside=f"<{secret}>")
    logs.flush()

    written = (folder / "riskd.log").read_text()
    for spelling in (secret, json.dumps(secret)[1:-1], quote(secret, safe="")):
        assert spelling not in written
    assert json.loads(written)["inside"] == "<***>"


@pytest.mark.usefixtures("no_known_secrets")
def test_the_longer_of_two_secrets_goes_first() -> None:
    logs.redact("secret")
    logs.redact("secret-and-more")

    assert logs.redacted("x secret-and-more y secret z") == "x *** y *** z"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("jane", "***"),
        ("user jane logged in", "user *** logged in"),
        ("\njane\t", "\n***\t"),
        ("\u00e9jane", "\u00e9***"),
        ('"jane"', '"***"'),
        ("janet, jane-2 and mary.jane", "janet, jane-2 and mary.jane"),
        ("mail to jane.doe@example.com, or\njoe@x.co.uk", "mail to ***, or\n***"),
        ("\u00e9t\u00e9@example.com", "***"),
        ("control.traders: [@desk]", "control.traders: [@desk]"),
    ],
)
@pytest.mark.usefixtures("no_known_secrets")
def test_user_names_and_mails_are_masked_as_words_and_leave_the_line_readable(
    folder: Path, text: str, shown: str
) -> None:
    redaction.redact_name("jane")
    logs.get_logger("riskd.x").info("x", text=text)

    (line,) = lines(folder)
    assert line["text"] == shown


def test_a_library_is_heard_where_its_level_is_named(folder: Path, clock: ManualClock) -> None:
    logs.start(folder, Logging(modules={"pysignalr": "debug"}), clock)
    try:
        logging.getLogger("pysignalr.client").debug("negotiated access_token=%s", JWT)

        (line,) = lines(folder)
        assert line["message"] == "negotiated access_token=***"
    finally:
        logs.start(folder, Logging(), clock)


@given(st.text("abc 0123.,:-_/", max_size=60))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert logs.redacted(text) == text


@pytest.mark.parametrize("text", ['"token": null', "token: 3", "tokens spent", "the token bucket is empty"])
@pytest.mark.usefixtures("no_known_secrets")
def test_words_about_secrets_are_no_secrets(text: str) -> None:
    assert logs.redacted(text) == text


# -------------------------------------------------------------------------------- files and threads


def test_a_full_file_is_put_aside_packed_and_readable(tmp_path: Path, clock: ManualClock) -> None:
    file = RotatingFile(tmp_path / "riskd.log", 1_000, timedelta(days=1), timedelta(days=30), True)
    for number in range(30):
        clock.advance(1)
        file.write(f"{number:04} {'x' * 94}\n", clock.wall())
    file.close()

    packed = sorted(tmp_path.glob("riskd-*.log.gz"))
    text = "".join(gzip.decompress(path.read_bytes()).decode() for path in packed)
    text += (tmp_path / "riskd.log").read_text()
    assert [int(line[:4]) for line in text.splitlines()] == list(range(30))
    assert (tmp_path / "riskd.log").stat().st_size <= 1_000
    assert not list(tmp_path.glob("*.part"))


def test_a_new_day_begins_a_new_file_also_after_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    def file() -> RotatingFile:
        return RotatingFile(tmp_path / "riskd.log", 10**6, timedelta(days=1), timedelta(days=30), False)

    first = file()
    first.write("monday\n", clock.wall())
    clock.advance(86_400)
    first.write("tuesday\n", clock.wall())
    first.close()
    assert (tmp_path / "riskd.log").read_text() == "tuesday\n"

    os.utime(tmp_path / "riskd.log", times=(clock.wall().timestamp(),) * 2)
    clock.advance(86_400)
    second = file()
    second.write("wednesday\n", clock.wall())
    second.close()
    assert (tmp_path / "riskd.log").read_text() == "wednesday\n"
    assert len(list(tmp_path.glob("riskd-*.log"))) == 2


def test_files_older_than_they_are_kept_go(tmp_path: Path, clock: ManualClock) -> None:
    file = RotatingFile(tmp_path / "riskd.log", 10**6, timedelta(days=1), timedelta(days=3), True)
    (tmp_path / "riskd-notes.txt").write_text("not ours")
    for _ in range(8):
        file.write("x\n", clock.wall())
        clock.advance(86_400)
    file.close()

    assert len(list(tmp_path.glob("riskd-*.log.gz"))) == 4
    assert (tmp_path / "riskd-notes.txt").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file modes")
def test_nobody_else_can_read_the_logs(folder: Path) -> None:
    logs.get_logger("riskd.x").error("x")
    logs.flush()

    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_the_writing_thread_writes_without_being_asked(folder: Path) -> None:
    logs.get_logger("riskd.x").info("x")
    until = time.monotonic() + 5
    while not (folder / "riskd.log").exists() and time.monotonic() < until:
        time.sleep(0.005)

    assert (folder / "riskd.log").exists()


def test_lines_of_many_threads_are_all_there_and_whole(folder: Path) -> None:
    def talk(who: int) -> None:
        log = logs.get_logger(f"riskd.t{who}")
        for number in range(400):
            log.info("x", who=who, number=number)

    threads = [threading.Thread(target=talk, args=(who,)) for who in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    said = [(line["who"], line["number"]) for line in lines(folder)]
    assert sorted(said) == [(who, number) for who in range(6) for number in range(400)]


def test_records_beyond_the_limit_are_lost_and_counted(
    tmp_path: Path, folder: Path, clock: ManualClock
) -> None:
    logs.stop()
    log = logs.get_logger("riskd.x")
    for number in range(logs.LIMIT + 10):
        log.info("x", number=number)
    logs.start(folder, Logging(), clock)

    found = lines(folder)
    assert found[0]["number"] == 10
    assert (found[-1]["event"], found[-1]["records"]) == ("logs.lost", 10)


def test_records_from_before_the_start_are_written(folder: Path, clock: ManualClock) -> None:
    logs.stop()
    logs.get_logger("riskd.x").info("early")
    logs.start(folder, Logging(), clock)

    assert [line["event"] for line in lines(folder)] == ["early"]


def test_a_folder_that_takes_nothing_stops_nobody(folder: Path, clock: ManualClock) -> None:
    (folder / "blocked").write_text("a file, no folder")
    logs.start(folder / "blocked", Logging(), clock)
    logs.get_logger("riskd.x").info("lost")
    logs.flush()

    assert logs._writer is not None
    assert logs._writer.failed > 0
    logs.start(folder, Logging(), clock)
    logs.get_logger("riskd.x").info("written")
    assert [line["event"] for line in lines(folder)] == ["written"]


CRASH = """
    import sys
    from pathlib import Path
    from actors import logs
    from actors.clock import SystemClock
    from config.settings import Logging

    logs.start(Path(sys.argv[1]), Logging(), SystemClock())
    logs.catch_crashes()
    logs.redact("very-secret")
    logs.get_logger("riskd.x").info("last words")
    if sys.argv[2] == "thread":
        import threading
        thread = threading.Thread(target=lambda: int("very-secret"), name="helper")
        thread.start()
        thread.join()
    if sys.argv[2] == "crash":
        raise RuntimeError("very-secret trouble")
"""


@pytest.mark.parametrize(
    ("end", "events"),
    [
        ("exit", ["last words"]),
        ("crash", ["last words", "crash.uncaught"]),
        ("thread", ["last words", "crash.thread"]),
    ],
)
def test_nothing_is_lost_at_the_end_of_the_process(tmp_path: Path, end: str, events: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CRASH), str(tmp_path), end],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )

    written = (tmp_path / "riskd.log").read_text()
    assert [json.loads(line)["event"] for line in written.splitlines()] == events
    assert "very-secret" not in written + ran.stdout + ran.stderr
    assert ("RuntimeError: *** trouble" in ran.stderr) is (end == "crash")
