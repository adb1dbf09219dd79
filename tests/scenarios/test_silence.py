"""An open hub that tells nothing: somebody is told, and the account is read."""

from __future__ import annotations

from tests.scenarios.desk import A, desk


def test_five_silent_minutes_with_a_position_are_told_and_answered_with_a_read() -> None:
    """Given a position in an open session, when nothing is heard of it for five minutes, then people are told
    once and the account is read; when it is heard of again, the count begins anew."""
    with desk({"max_contracts": {"limit": 5}}) as day:
        day.guard.silent_after_s = 300.0
        day.buy("MNQ", 1)
        day.holds(A, MNQ=1)
        day.advance(1)
        reads = day.control(op="state")["requests"]["Position/searchOpen"]

        day.in_time(lambda: silent(day), "the silence is told", each=60.0)

        assert len(silent(day)) == 1
        assert silent(day)[0]["level"] == "warning"
        assert day.control(op="state")["requests"]["Position/searchOpen"] > reads


def silent(day) -> list[dict[str, object]]:  # type: ignore[no-untyped-def]
    return [line for line in day.history("alert") if "nothing was heard" in str(line["message"])]
