"""Which question the store answers with what."""

from __future__ import annotations

from .queries import (
    AskWitness,
    AuditQuery,
    ContractsQuery,
    HistoryQuery,
    ListBackups,
    ReadMeta,
    RecoverAccount,
    ReportQuery,
    VerifyAudit,
    WhyQuery,
)
from .store import Store


def answer(store: Store, question: object) -> object:
    """The answer to a question of `queries`. TypeError for anything else: nobody may send it."""
    match question:
        case RecoverAccount(account=account, fills_since=since):
            return store.recover(account, since)
        case ReadMeta(key=key):
            return store.meta(key)
        case ContractsQuery():
            return store.contracts()
        case HistoryQuery():
            return store.history(question)
        case WhyQuery():
            return store.why(question)
        case ReportQuery():
            return store.report(question)
        case AuditQuery():
            return store.audit(question)
        case VerifyAudit():
            return store.verify_audit()
        case AskWitness(store=other, head=head):
            return store.knows(other, head)
        case ListBackups():
            return store.backup_names()
        case _:
            raise TypeError(f"cannot store or answer a {type(question).__name__}")
