"""Logins: tokens shaped as real ones, with a real expiry, until they expire or are revoked."""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from itertools import count

import msgspec


class Sessions:
    """The tokens in force. A further login leaves older tokens valid, as at the real gateway."""

    def __init__(self, user: str, api_key: str, life: timedelta) -> None:
        self.user = user
        self.api_key = api_key
        self.life = life
        self._key = secrets.token_bytes(32)
        self._serial = count(1)
        self._tokens: dict[str, datetime] = {}

    def login_code(self, user: str, api_key: str) -> int:
        """0 for the right pair; 1 UserNotFound, 3 InvalidCredentials otherwise."""
        if user != self.user:
            return 1
        return 0 if hmac.compare_digest(api_key, self.api_key) else 3

    def issue(self, now: datetime) -> str:
        expires = now + self.life
        head = _part({"alg": "HS256", "typ": "JWT"})
        body = _part(
            {
                "sub": self.user,
                "jti": str(next(self._serial)),
                "iat": int(now.timestamp()),
                "exp": int(expires.timestamp()),
            }
        )
        signature = hmac.new(self._key, f"{head}.{body}".encode(), hashlib.sha256).digest()
        token = f"{head}.{body}.{_text(signature)}"
        self._tokens[token] = expires
        return token

    def valid(self, token: str, now: datetime) -> bool:
        expires = self._tokens.get(token)
        return expires is not None and now < expires

    def revoke(self, token: str) -> None:
        self._tokens.pop(token, None)

    def revoke_all(self) -> int:
        ended = len(self._tokens)
        self._tokens.clear()
        return ended


def _part(fields: dict[str, str | int]) -> str:
    return _text(msgspec.json.encode(fields))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
