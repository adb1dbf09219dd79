"""The login: one at a time, renewed in time, repeated after a 401, and not hammered after a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from actors.clock import Clock
from actors.connection.port import Gateway, LoginDenied, Session, Unauthorized

DENIED_FOR = 60.0
"""Seconds between two logins that are refused: trying the same key more often only gets a user locked out."""
RENEW_AGAIN = 60.0


class Authorised(Protocol):
    """Carries out a request; on a 401 logs in afresh and repeats it once."""

    async def __call__[T](self, request: Callable[[], Awaitable[T]]) -> T: ...


class Login:
    """Who holds the session. `denied` hears of refusals, `replaced` that open hubs carry a dead token."""

    def __init__(
        self,
        gateway: Gateway,
        clock: Clock,
        denied: Callable[[LoginDenied], None],
        replaced: Callable[[], None],
    ) -> None:
        self._gateway = gateway
        self._clock = clock
        self._denied = denied
        self._replaced = replaced
        self._one = asyncio.Lock()
        self._session: Session | None = None
        self._since = 0.0
        self._renew_at = 0.0
        self._refusal: LoginDenied | None = None
        self._refused_at = 0.0

    @property
    def refused(self) -> bool:
        """The last login was refused for good."""
        return self._refusal is not None

    @property
    def in_force(self) -> bool:
        return self._session is not None

    def age(self) -> float | None:
        """Seconds since the token was issued; None without one."""
        return None if self._session is None else self._clock.mono() - self._since

    def renew_in(self) -> float:
        """Seconds until the token should be renewed: at half its life."""
        return max(0.0, self._renew_at - self._clock.mono())

    async def once(self) -> None:
        """Log in unless there is a session. Raises LoginDenied, NoAnswer, RateLimited."""
        async with self._one:
            if self._session is None:
                await self._log_in()

    async def renew(self) -> None:
        async with self._one:
            self._renew_at = self._clock.mono() + RENEW_AGAIN
            self._accept(await self._gateway.renew())

    async def authorised[T](self, request: Callable[[], Awaitable[T]]) -> T:
        before = self._session
        try:
            return await request()
        except Unauthorized:
            await self._again(before)
            return await request()

    async def _again(self, before: Session | None) -> None:
        """A 401 came: log in afresh, once for all who met it."""
        async with self._one:
            if self._session is not None and self._session is not before:
                return
            self._session = None
            try:
                await self._log_in()
            except LoginDenied as error:
                raise Unauthorized(str(error)) from error
            finally:
                self._replaced()

    async def _log_in(self) -> None:
        if self._refusal is not None and self._clock.mono() - self._refused_at < DENIED_FOR:
            raise self._refusal
        try:
            self._accept(await self._gateway.login())
        except LoginDenied as error:
            self._refusal, self._refused_at = error, self._clock.mono()
            self._denied(error)
            raise

    def _accept(self, session: Session) -> None:
        self._session, self._refusal = session, None
        self._since = self._clock.mono()
        self._renew_at = self._since + session.lifetime_s / 2
