"""Who may do what, as a table; and the admin secret on disk."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from supervisor.protocol import Access, Exit, Refused
from supervisor.roles import AdminSecret, Grants, Peer, permit

OWNER = Peer(10, 1000, "anna", frozenset({"anna"}))
ROOT = Peer(11, 0, "root")
TRADER = Peer(12, 1001, "ben", frozenset({"desk"}))
BY_GROUP = Peer(13, 1002, "cleo", frozenset({"floor"}))
VIEWER = Peer(14, 1003, "dora")
STRANGER = Peer(15, 1004, "eve", frozenset({"floor2"}))
GRANTS = Grants(owner=1000, traders=("ben", "@floor"), viewers=("dora",))

V, T, A = Access.VIEWER, Access.TRADER, Access.ADMIN


@pytest.mark.parametrize(
    ("peer", "no_secret_set", "secret_not_given", "secret_given"),
    [
        pytest.param(OWNER, {V, T, A}, {V, T}, {V, T, A}, id="owner"),
        pytest.param(ROOT, {V, T, A}, {V, T}, {V, T, A}, id="root"),
        pytest.param(TRADER, {V, T}, {V, T}, {V, T, A}, id="named trader"),
        pytest.param(BY_GROUP, {V, T}, {V, T}, {V, T, A}, id="trader by group"),
        pytest.param(VIEWER, {V}, {V}, {V, A}, id="named viewer"),
        pytest.param(STRANGER, set(), set(), set(), id="stranger"),
    ],
)
def test_peer_may_do_exactly_what_its_role_allows(
    peer: Peer, no_secret_set: set[Access], secret_not_given: set[Access], secret_given: set[Access]
) -> None:
    for is_set, is_right, allowed in (
        (False, False, no_secret_set),
        (True, False, secret_not_given),
        (True, True, secret_given),
    ):
        for need in Access:
            if need in allowed:
                assert permit(need, peer, GRANTS, is_set, is_right)
            else:
                with pytest.raises(Refused) as caught:
                    permit(need, peer, GRANTS, is_set, is_right)
                assert caught.value.code is Exit.NOT_PERMITTED


def test_secret_is_kept_as_scrypt_and_compared(tmp_path: Path) -> None:
    secret = AdminSecret(tmp_path / "admin.secret")
    assert not secret.is_set()
    assert not secret.is_right("anything")

    secret.set("first")
    secret.set("open sesame")

    assert secret.is_set()
    assert secret.is_right("open sesame")
    assert not any(secret.is_right(wrong) for wrong in ("first", "", None, "x" * 5000))
    assert "sesame" not in (tmp_path / "admin.secret").read_text()
    assert stat.S_IMODE((tmp_path / "admin.secret").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["admin.secret"]


@pytest.mark.parametrize("content", ["", "scrypt1", "scrypt1 zz zz", "scrypt1 00 00", "other 00 00"])
def test_damaged_secret_admits_nobody_and_still_counts_as_set(tmp_path: Path, content: str) -> None:
    path = tmp_path / "admin.secret"
    path.write_text(content)

    assert AdminSecret(path).is_set()
    assert not AdminSecret(path).is_right("open sesame")
