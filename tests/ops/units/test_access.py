"""Who may change or read a file: held against what the kernel lets real users do."""

from __future__ import annotations

import itertools
import os
import stat
from pathlib import Path

import pytest

from ops.units.access import Account, blocked_at, may, weak_spot, weak_spots
from tests.ops.units.machine import ANN, BOB, can, machine, needs_root

pytestmark = needs_root
TEAM = 4100
WHO = {"ann": Account(ANN, frozenset({ANN, TEAM})), "bob": Account(BOB, frozenset({BOB}))}


@pytest.mark.parametrize(("owner", "group"), [(ANN, BOB), (BOB, TEAM), (0, TEAM), (0, 0)])
def test_modes_are_read_as_the_kernel_reads_them(owner: int, group: int) -> None:
    with machine() as root:
        file = root / "file"
        file.touch()
        os.chown(file, owner, group)
        for mode in (0o600, 0o060, 0o006, 0o640, 0o022, 0o755, 0o000):
            file.chmod(mode)
            for (name, who), (test, bit) in itertools.product(
                WHO.items(), [("-r", stat.S_IROTH), ("-w", stat.S_IWOTH)]
            ):
                gids = tuple(sorted(who.gids))
                assert may(file, who, bit) == can(who.uid, gids, test, file), (oct(mode), name, test)


def test_way_to_a_file_counts() -> None:
    with machine() as root:
        deep = root / "a" / "b"
        deep.mkdir(parents=True)
        (deep / "file").touch()
        (deep / "file").chmod(0o644)
        ann = WHO["ann"]

        assert blocked_at(deep / "file", ann, root) is None
        (root / "a").chmod(0o700)
        assert blocked_at(deep / "file", ann, root) == root / "a"
        assert not can(ANN, (ANN,), "-r", deep / "file")

        assert weak_spot(deep / "file", ann, root) is None
        os.chown(root / "a", ANN, ANN)
        assert weak_spot(deep / "file", ann, root) == root / "a", "who owns the folder can put another there"
        (root / "a").chmod(0o555)
        assert weak_spot(deep / "file", ann, root) == root / "a", "and can always give the right back"
        (root / "a").chmod(0o1777)
        os.chown(root / "a", 0, 0)
        assert weak_spot(deep / "file", ann, root) is None, "nobody moves another's file in a sticky folder"


def test_one_open_file_in_a_tree_is_found_and_links_lead_on(tmp_path: Path) -> None:
    with machine() as root:
        tree = root / "opt" / "riskd"
        (tree / "lib").mkdir(parents=True)
        (tree / "lib" / "module.py").touch(mode=0o644)
        assert list(weak_spots(tree, WHO["ann"], root)) == []

        (tree / "lib" / "module.py").chmod(0o646)
        assert list(weak_spots(tree, WHO["ann"], root)) == [tree / "lib" / "module.py"]

        target = root / "home-of-ann"
        target.touch()
        os.chown(target, ANN, ANN)
        (tree / "python").symlink_to(target)
        assert weak_spot(tree / "python", WHO["ann"], root) == target
