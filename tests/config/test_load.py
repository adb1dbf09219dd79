"""From files to settings: places of mistakes, layers, names, and the configuration in force."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.canonical import canonical, diff, digest, parse_canonical
from config.load import Loaded, load
from config.mistakes import ConfigurationMistakes, Mistake, rendered

BASE = """\
gateway: {kind: simulator}
accounts: all
sessions:
  main: {start: "08:30", end: "15:00", timezone: America/Chicago}
"""


def refused(
    *files: Path, sets: tuple[str, ...] = (), env: dict[str, str] | None = None, **named: Any
) -> list[Mistake]:
    with pytest.raises(ConfigurationMistakes) as error:
        load(files, sets, env or {}, **named)
    return list(error.value.mistakes)


def places(found: list[Mistake]) -> list[tuple[int, int, str]]:
    return [(mistake.line, mistake.column, mistake.key) for mistake in found]


# Places


def test_every_mistake_is_reported_at_once_with_its_place(write: Any) -> None:
    path = write(
        BASE
        + """\
trading_day: {reset: "25:00", timezone: America/Chicgo}
rules:
  max_contracts: {limit: 0, mode: armd}
  daily_realized_lost: {limit: -500}
  daily_realized_loss: {limit: 500}
  session_block_outside: {session: man}
"""
    )

    found = refused(path)

    assert places(found) == [
        (5, 22, "trading_day.reset"),
        (5, 41, "trading_day.timezone"),
        (7, 26, "rules.max_contracts.limit"),
        (7, 35, "rules.max_contracts.mode"),
        (8, 3, "rules.daily_realized_lost"),
        (9, 32, "rules.daily_realized_loss.limit"),
        (10, 36, "rules.session_block_outside.session"),
    ]
    assert all(mistake.file == str(path) for mistake in found)


def test_mistake_reads_as_file_line_column_cannot_why_hint(write: Any) -> None:
    path = write(BASE + "rules:\n  daily_realized_loss: {limit: 500}\n")

    (mistake,) = refused(path)

    assert str(mistake) == (
        f"{path}:6:32: cannot use rules.daily_realized_loss.limit: 500.00 is not a loss."
        " losses are negative: write -500.00"
    )
    assert rendered([mistake]).splitlines()[1:] == [
        "      daily_realized_loss: {limit: 500}",
        "                                   ^",
    ]


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("a: [1, 2", 1, 9, "cannot read YAML"),
        ("a: b: c", 1, 5, "needs quotes"),
        ("a: 1\n\tb: 2", 2, 1, "not tabs"),
        ("a: 'x", 1, 6, "cannot read YAML"),
        ("a: *x", 1, 4, "undefined alias"),
        ("a: 1\n---\nb: 2", 2, 1, "one document"),
        ("a: 1\nb: \x07", 2, 1, "cannot read YAML"),
        ("- a\n- b", 1, 1, "no keys"),
        ("just text", 1, 1, "no keys"),
    ],
)
def test_broken_yaml_is_a_mistake_with_its_place(
    write: Any, text: str, line: int, column: int, said: str
) -> None:
    (mistake,) = refused(write(text))

    assert (mistake.line, mistake.column) == (line, column)
    assert said in str(mistake)


def test_key_written_twice_is_a_mistake_wherever_it_is(write: Any) -> None:
    path = write(
        BASE
        + "quotes: {stale_after: 5s, stale_after: 6s}\nchaos: {enabled: false}\nchaos: {enabled: false}\n"
    )

    found = refused(path)

    assert places(found) == [(5, 27, "quotes.stale_after"), (7, 1, "chaos")]
    assert "line 6" in found[1].hint


def test_unknown_key_names_the_close_match_or_what_is_known(write: Any) -> None:
    found = refused(write(BASE + "quotes: {stale_aftr: 5s, zzz: 1}\nruels: {}\n"))

    assert [mistake.hint for mistake in found] == [
        "did you mean stale_after?",
        "known here: blind_after, stale_after",
        "did you mean rules?",
    ]


def test_missing_key_is_placed_at_what_encloses_it(write: Any) -> None:
    (mistake,) = refused(
        write("gateway: {kind: simulator}\naccounts: all\nsessions:\n  main: {start: '08:30'}\n")
    )

    assert (mistake.line, mistake.column, mistake.key) == (4, 9, "sessions.main.end")


def test_empty_value_is_placed_at_its_key_not_at_what_follows(write: Any) -> None:
    found = refused(write(BASE + "rules:\n  max_contracts:\n    limit:\n\n# more\nmetrics: {port: 0}\n"))

    assert places(found) == [(7, 5, "rules.max_contracts.limit"), (10, 17, "metrics.port")]


def test_empty_file_says_what_is_needed(write: Any) -> None:
    found = refused(write("# nothing yet\n"))

    assert {"gateway", "accounts"} <= {mistake.key for mistake in found}


def test_file_that_is_not_there_or_not_text_is_a_mistake(write: Any, tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")

    found = refused(tmp_path / "missing.yaml", binary)

    assert [mistake.text.split(":")[0] for mistake in found] == [
        f"cannot read {tmp_path / 'missing.yaml'}",
        f"cannot read {binary}",
    ]


def test_tags_and_endless_aliases_are_mistakes_not_objects(write: Any) -> None:
    found = refused(
        write(
            BASE + "quotes: !!python/object:os.system {stale_after: !x 5s}\nrules: &a {max_contracts: *a}\n"
        )
    )

    assert [mistake.line for mistake in found] == [5, 5, 6]


def test_anchors_and_merge_keys_work(write: Any) -> None:
    read = load([write(BASE + "quotes: &q {stale_after: 5s, blind_after: 50s}\nrules: {}\n")])
    assert read.settings.quotes.blind_after.seconds == 50

    text = """\
    gateway: {kind: simulator}
    accounts: all
    sessions:
      main: &day {start: "08:30", end: "15:00", timezone: America/Chicago}
      short: {<<: *day, end: "11:00"}
    """
    sessions = load([write(text)]).settings.sessions
    assert (sessions["short"].start, sessions["short"].end.hour) == (sessions["main"].start, 11)


def test_secret_in_the_file_is_never_shown(write: Any) -> None:
    found = refused(
        write("gateway: {kind: simulator, api_key: hunter2}\naccounts: all\nalerts: [{to: hunter2}]\n")
    )
    assert len(found) == 2
    assert "hunter2" not in rendered(found)


@pytest.mark.parametrize(
    "text",
    [
        "gateway:\n  api_key: 'hunter2\n",
        "gateway: {api_key: hunter2, x: [}\n",
        "gateway: {kind: simulator, api_key:\n  hunter2}\naccounts: all\n",
        "alerts:\n  - to: https://hunter2\n    : [\n",
    ],
)
def test_secret_on_a_line_that_cannot_be_read_is_never_shown(write: Any, text: str) -> None:
    assert "hunter2" not in rendered(refused(write(text)))


def test_yaml_words_are_read_as_written(write: Any) -> None:
    text = (
        BASE.replace("all", "[{name: 007}, {name: no}]")
        + "trading_day: {reset: 17:00}\nrules: {max_contracts: {mode: off}}\n"
    )
    read = load([write(text)]).settings

    assert [account.name for account in read.accounts if not isinstance(account, str)] == ["007", "no"]
    assert read.trading_day.reset.hour == 17
    assert read.rules.max_contracts.mode == "off"


# Layers


def test_later_files_merge_key_by_key_and_replace_lists(write: Any) -> None:
    first = write(
        BASE
        + """\
rules:
  max_contracts: {mode: armed, limit: 5}
  cooldown_after_loss: {tiers: [{loss: -100, cooldown: 5m}, {loss: -200, cooldown: 15m}]}
"""
    )
    second = write(
        "rules:\n  max_contracts: {limit: 2}\n  cooldown_after_loss: {tiers: [{loss: -50, cooldown: 1h}]}\n",
        "over.yaml",
    )

    read = load([first, second])

    assert (read.settings.rules.max_contracts.mode, read.settings.rules.max_contracts.limit) == ("armed", 2)
    assert len(read.settings.rules.cooldown_after_loss.tiers) == 1
    assert read.origins["rules.max_contracts.limit"] == f"{second}:2:26"
    assert read.origins["rules.max_contracts.mode"] == f"{first}:6:25"
    assert "quotes.stale_after" not in read.origins


def test_mistake_of_a_layer_is_placed_in_that_layer(write: Any) -> None:
    first, second = write(BASE), write("rules: {max_contracts: {limit: x}}\n", "over.yaml")

    (mistake,) = refused(first, second)

    assert (mistake.file, mistake.line, mistake.column) == (str(second), 1, 32)


def test_enabled_beside_mode_in_one_file_is_a_mistake(write: Any) -> None:
    (mistake,) = refused(write(BASE + "rules: {max_contracts: {mode: armed, enabled: false}}\n"))

    assert "twice" in mistake.text


@pytest.mark.parametrize(
    ("below", "above", "mode"),
    [("mode: armed", "enabled: false", "off"), ("enabled: false", "mode: shadow", "shadow")],
)
def test_the_later_of_enabled_and_mode_counts(write: Any, below: str, above: str, mode: str) -> None:
    first = write(BASE + f"rules: {{max_contracts: {{{below}}}}}\n")
    second = write(f"rules: {{max_contracts: {{{above}}}}}\n", "over.yaml")

    assert load([first, second]).settings.rules.max_contracts.mode == mode
    assert (
        load([first], [f"rules.max_contracts.{above.replace(': ', '=')}"]).settings.rules.max_contracts.mode
        == mode
    )


def test_set_reaches_any_key_and_is_read_as_yaml(write: Any) -> None:
    path = write(BASE.replace("all", "[{name: A.B}, {name: C}]"))

    read = load(
        [path],
        [
            "metrics.port=9100",
            "rules.max_contracts.limit=3",
            "rules.max_contracts_per_instrument.limits={MNQ: 2}",
            "rules.max_contracts_per_instrument.default_limit=null",
            "accounts.C.rules.max_contracts.limit=1",
            "accounts.0.rules.max_contracts.limit=2",
            "sessions.main.days=[mon, fri]",
        ],
    ).settings

    assert read.metrics.port == 9100
    assert read.rules.max_contracts_per_instrument.default_limit is None
    assert [read.for_account(name).max_contracts.limit for name in ("A.B", "C")] == [2, 1]
    assert read.sessions["main"].days == ("mon", "fri")


@pytest.mark.parametrize(
    ("argument", "column", "key"),
    [
        ("rules.max_contracts.limit=x", 27, "rules.max_contracts.limit"),
        ("rules.max_contract.limit=1", 26, "rules.max_contract"),
        ("nonsense", 1, ""),
        ("=1", 1, ""),
        ("metrics.port=[1", 3, ""),
    ],
)
def test_mistaken_set_is_placed_in_its_argument(write: Any, argument: str, column: int, key: str) -> None:
    found = refused(write(BASE), sets=(argument,))

    assert [(mistake.file, mistake.line, mistake.key) for mistake in found] == [("--set", 1, key)]
    assert found[0].column == column


# Names


def test_names_are_filled_in_after_parsing_and_typed_like_plain_values(write: Any) -> None:
    path = write(
        """\
        gateway: {kind: simulator, username: "${USER_NAME}"}
        accounts: [{name: "${A:-PRAC}", rules: {max_contracts: {limit: "${LIMIT}"}}}]
        rules:
          max_contracts: {mode: "${MODE:-armed}", limit: "1${LIMIT}"}
          max_contracts_per_instrument: {default_limit: "${NOTHING:-}", limits: {ES: 1}}
          daily_realized_profit: {target: 10, message: "$${LIMIT} is $5 to $$"}
        """
    )

    read = load([path], (), {"USER_NAME": "a: {b}", "LIMIT": "2"}).settings

    assert read.gateway.username == "a: {b}"
    assert read.for_account("PRAC").max_contracts.limit == 2
    assert (read.rules.max_contracts.limit, read.rules.max_contracts.mode) == (12, "armed")
    assert read.rules.max_contracts_per_instrument.default_limit is None
    assert read.rules.daily_realized_profit.message == "${LIMIT} is $5 to $"


def test_unset_name_is_a_mistake_with_its_place_said_once(write: Any) -> None:
    found = refused(write(BASE + "rules:\n  max_contracts: {limit: '${NOT_THERE}'}\n"))

    assert places(found) == [(6, 26, "rules.max_contracts.limit")]
    assert "NOT_THERE is not set" in found[0].text


def test_name_that_is_no_name_is_a_mistake(write: Any) -> None:
    found = refused(write(BASE + "rules:\n  max_contracts: {limit: '${1X}'}\n"))

    assert "without a name" in found[0].text


def test_empty_name_counts_as_set_unless_it_has_a_default(write: Any) -> None:
    path = write(BASE + "metrics: {port: '${E}'}\nrules: {max_contracts: {limit: '${E:-7}'}}\n")

    read = load([path], (), {"E": ""}).settings

    assert (read.metrics.port, read.rules.max_contracts.limit) == (None, 7)


def test_env_file_beside_the_configuration_feeds_names_and_the_environment_wins(write: Any) -> None:
    write("# names\nexport ONE=1\nTWO='2' \nTHREE=\"3\"\nFOUR=4 # four\n\n", ".env")
    text = (
        BASE
        + "rules:\n  max_contracts: {limit: '${FOUR}'}\n"
        + "  trade_frequency_limit: {per_minute: '${ONE}', per_hour: '${TWO}', per_session: '${THREE}'}\n"
    )

    rules = load([write(text)], (), {"THREE": "33"}).settings.rules

    frequency = rules.trade_frequency_limit
    assert (frequency.per_minute, frequency.per_hour, frequency.per_session) == (1, 2, 33)
    assert rules.max_contracts.limit == 4
    assert "ONE" not in os.environ


def test_named_env_file_is_used_instead(write: Any) -> None:
    write("ONE=1\n", ".env")
    other = write("ONE=9\n", "other.env")

    read = load([write(BASE + "metrics: {port: '${ONE}'}\n")], (), {}, other)

    assert read.settings.metrics.port == 9


@pytest.mark.skipif(os.name != "posix", reason="modes are a POSIX matter")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_env_file_that_others_can_read_is_refused(write: Any, mode: int) -> None:
    write("ONE=1\n", ".env", mode)

    (mistake,) = refused(write(BASE))

    assert "others can read it" in mistake.text
    assert mistake.hint.startswith("chmod 600")


def test_env_file_with_a_bad_line_is_refused_without_repeating_it(write: Any) -> None:
    write("ONE=1\nhunter2\n", ".env")

    (mistake,) = refused(write(BASE))

    assert (mistake.line, "hunter2" in str(mistake)) == (2, False)


def test_named_env_file_that_is_not_there_is_a_mistake(write: Any, tmp_path: Path) -> None:
    (mistake,) = refused(write(BASE), env_file=tmp_path / "none.env")

    assert "cannot read" in mistake.text


# Warnings


def test_what_is_probably_not_meant_is_a_warning(write: Any) -> None:
    path = write(
        """\
        gateway: {kind: simulator}
        accounts: [{name: A, rules: {max_contracts_per_instrument: {limits: {MNK: 1}}}}]
        sessions:
          main: {start: "08:30", end: "15:00", overnight: true}
        rules:
          max_contracts_per_instrument: {limits: {ENQ: 1}}
          symbol_blocks: {blocked: [ESS, "*QQQ*", "*NQ*"]}
          loss_streak: {losses: 3}
        alerts: [{to: {env: X}, only: [lockout, lokcout]}]
        process: {transport: fast}
        """
    )

    warnings = load([path]).warnings

    assert sorted((w.line, w.key) for w in warnings) == [
        (2, "accounts.0.rules.max_contracts_per_instrument.limits.MNK"),
        (4, "sessions.main.overnight"),
        (7, "rules.symbol_blocks.blocked.0"),
        (7, "rules.symbol_blocks.blocked.1"),
        (8, "rules.loss_streak"),
        (9, "alerts.0.only"),
        (10, "process.transport"),
    ]
    assert "did you mean" in next(w.hint for w in warnings if "MNK" in w.text)


# The configuration in force


@pytest.fixture
def loaded(write: Any) -> Loaded:
    text = """\
    gateway: {kind: simulator, api_key: {command: [pass, show, key]}}
    accounts:
      - name: A
        rules: {max_contracts: {limit: 2}, daily_unrealized_loss: {limit: -10.0001, lockout: 30m}}
      - name: B
    sessions: {main: {start: "08:30:30", end: "15:00", days: [mon]}}
    holidays: {closed: [2026-12-31], early_closes: [{date: 2026-11-27, close: "12:15", reason: Friday}]}
    rules: {max_contracts: {mode: shadow}, symbol_blocks: {blocked: ["*NQ*"]}}
    tamper: {loosen_after: 1d}
    logging: {json: false}
    """
    return load([write(text)])


def test_canonical_reads_back_the_same(loaded: Loaded) -> None:
    stored = canonical(loaded.settings)

    assert parse_canonical(stored) == loaded.settings
    assert canonical(parse_canonical(stored)) == stored
    again = parse_canonical(stored)
    assert [again.for_account(name) for name in "AB"] == [loaded.settings.for_account(name) for name in "AB"]


def test_digest_is_the_same_for_the_same_settings_only(loaded: Loaded, write: Any) -> None:
    same = parse_canonical(canonical(loaded.settings))
    other = load([write(BASE)]).settings

    assert digest(same) == digest(loaded.settings) != digest(other)


def test_canonical_does_not_depend_on_the_order_of_writing(write: Any) -> None:
    each = "rules: {max_contracts_per_instrument: {limits: {%s}}}\n"
    one = load([write(BASE + each % "MNQ: 1, ES: 2")]).settings
    other = load([write(each % "ES: 2, MNQ: 1" + BASE)]).settings

    assert canonical(one) == canonical(other)


def test_diff_names_keys_with_old_and_new(write: Any) -> None:
    old = load([write(BASE.replace("all", "[{name: A}]") + "rules: {max_contracts: {limit: 5}}\n")]).settings
    new = load(
        [
            write(
                BASE.replace("all", "[{name: B}, {name: A}]")
                + "rules: {daily_realized_loss: {limit: -400}, max_contracts: {limit: 4}}\n"
            )
        ]
    ).settings

    assert diff(old, new) == [
        ("accounts.B", None, "guarded"),
        ("rules.daily_realized_loss.limit", "-500.00", "-400.00"),
        ("rules.daily_realized_loss.mode", "off", "armed"),
        ("rules.max_contracts.limit", "5", "4"),
    ]
    assert diff(old, old) == []


# Whatever is written


@settings(max_examples=60)
@given(st.text(alphabet=st.sampled_from("abc:{}[]\"'${}-&*!|>#,\n 0\t%@`"), max_size=60))
def test_any_text_is_read_or_refused_with_mistakes(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("any") / "riskd.yaml"
    path.write_text(text, "utf-8")

    found = refused(path)

    assert found
    assert all(mistake.line >= 1 and mistake.column >= 1 for mistake in found)
    assert "Traceback" not in rendered(found)
