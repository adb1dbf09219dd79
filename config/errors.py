"""The one tree of errors, split by who must act. What each says: "cannot X: why. hint".

- `CallerMustAct`: it was asked for in a way that is not answered; ask otherwise. Nothing was changed.
- `OperatorMustAct`: a file, a secret, a disk or a setting has to be put right before it can go on.
- `GatewayMustAct`: the other side gave no answer or none that makes sense; it is asked again, and people are
  told when that lasts.
- `WeMustAct`: a defect of this program or a part of it that died; its supervisor acts, the log has the rest.

What only ends a loop or a thread (a stop, a fence, a reader that is gone) is a signal and belongs to none.
"""

from __future__ import annotations


class CallerMustAct(Exception):
    pass


class OperatorMustAct(Exception):
    pass


class GatewayMustAct(Exception):
    pass


class WeMustAct(Exception):
    pass
