"""The gateway on its sockets: `serve(settings, clock)` inside a running asyncio loop."""

import asyncio
import os
import socket

import msgspec
from aiohttp import web

from ops.simulator.clock import Clock
from ops.simulator.control import Control
from ops.simulator.front import Front
from ops.simulator.gateway import Gateway
from ops.simulator.market import PACE, RandomMarket
from ops.simulator.scenario import Scenario
from ops.simulator.settings import Settings, Urls
from ops.simulator.shapes import Json
from ops.simulator.stage import Stage

#: Seconds that a stop waits for requests in the middle of their answer.
GRACE = 0.1


class Listener:
    """The gateway's port. While it does not listen the port stays ours, so that connections are refused."""

    def __init__(self, runner: web.AppRunner, host: str, port: int) -> None:
        self._runner = runner
        self._socket = _bound(host, port)
        self._host = host
        self.port: int = self._socket.getsockname()[1]
        self._site: web.SockSite | None = None

    async def listen(self, wanted: bool) -> None:
        """Starts or stops listening. Stopping cuts every connection, those kept alive for later too."""
        if wanted == (self._site is not None):
            return
        if wanted:
            self._site = web.SockSite(self._runner, self._socket, backlog=128)
            await self._site.start()
        elif self._site is not None:
            await self._site.stop()
            self._site = None
            self._socket.close()
            self._socket = _bound(self._host, self.port)
            for handler in self._runner.server.connections if self._runner.server else ():
                if handler.transport is not None:
                    handler.transport.abort()

    def close(self) -> None:
        self._socket.close()


class RunningSimulator:
    """A simulator that listens. `control` does what a POST to the control endpoint does."""

    def __init__(self, gateway: Gateway, front: Front, settings: Settings) -> None:
        self.gateway = gateway
        self.front = front
        self._settings = settings
        self._runner = web.AppRunner(_gateway_app(gateway, front), access_log=None, shutdown_timeout=GRACE)
        self._control = Control(Stage(gateway, front, self._listen))
        self._control_runner = web.AppRunner(
            _control_app(self._control), access_log=None, shutdown_timeout=GRACE
        )
        self._listener: Listener | None = None
        self._chores: list[asyncio.Task[object]] = []
        self.urls = Urls("", "", "", "")

    async def start(self) -> None:
        host = self._settings.host
        await self._runner.setup()
        await self._control_runner.setup()
        self._listener = Listener(self._runner, host, self._settings.port)
        await self._listener.listen(True)
        control = _bound(host, self._settings.control_port)
        control_port = control.getsockname()[1]
        await web.SockSite(self._control_runner, control).start()
        if self._settings.speed > 0:
            self._chores.append(asyncio.create_task(self._random_market()))
        if self._settings.requote > 0:
            self._chores.append(asyncio.create_task(self._requotes()))
        base = f"http://{host}:{self._listener.port}"
        self.urls = Urls(
            api_url=f"{base}/api",
            user_hub_url=f"{base}/hubs/user",
            market_hub_url=f"{base}/hubs/market",
            control_url=f"http://{host}:{control_port}/control",
        )

    async def stop(self) -> None:
        for chore in self._chores:
            chore.cancel()
        self.gateway.hubs.cut()
        await self._runner.cleanup()
        await self._control_runner.cleanup()
        if self._listener is not None:
            self._listener.close()

    async def play(self, scenario: Scenario) -> None:
        """Sets up a scenario's initial state, and leaves its script running."""
        for operation in scenario.opening():
            await self.control(operation)
        self._chores.append(asyncio.create_task(self._steps(scenario)))

    async def run(self, until: asyncio.Event) -> None:
        """Runs until the event; a script step that cannot be done ends it with its ValueError."""
        waited = asyncio.create_task(until.wait())
        running = {waited, *self._chores}
        while not waited.done():
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()

    async def _steps(self, scenario: Scenario) -> None:
        for after, operation in scenario.steps():
            await asyncio.sleep(after)
            await self.control(operation)

    async def _random_market(self) -> None:
        """Moves each contract that is traded or watched, at the speed asked for."""
        market = RandomMarket(self._settings.seed)
        while True:
            await asyncio.sleep(1 / (PACE * self._settings.speed))
            for contract in self.gateway.moving():
                self.gateway.move(contract.id, market.step(contract, self.gateway.state.price(contract.id)))

    async def _requotes(self) -> None:
        while True:
            await asyncio.sleep(self._settings.requote)
            for contract_id in self.gateway.shown():
                self.gateway.hubs.publish(self.gateway.requote(contract_id))

    async def control(self, request: Json) -> Json:
        """Carries out one operation; raises ValueError with the reason when it cannot be done."""
        status, body = await self._control.run(msgspec.json.encode(request))
        answer: Json = msgspec.json.decode(body)
        if status != 200:
            raise ValueError(str(answer["error"]))
        return answer

    async def _listen(self, wanted: bool) -> None:
        if self._listener is not None:
            await self._listener.listen(wanted)


async def serve(settings: Settings, clock: Clock) -> RunningSimulator:
    """Starts a simulator in the running loop; `stop()` ends it."""
    gateway = Gateway(settings, clock)
    simulator = RunningSimulator(gateway, Front(gateway), settings)
    await simulator.start()
    return simulator


def _gateway_app(gateway: Gateway, front: Front) -> web.Application:
    app = web.Application()
    app.router.add_get("/api/Status/ping", front.ping)
    app.router.add_post("/api/{path:.+}", front.post)
    app.router.add_post("/hubs/{hub:user|market}/negotiate", gateway.hubs.negotiate)
    app.router.add_get("/hubs/{hub:user|market}", gateway.hubs.connect)
    return app


def _control_app(control: Control) -> web.Application:
    app = web.Application()
    app.router.add_post("/control", control.post)
    return app


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # elsewhere the option would let another process take the port as well
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
    return bound
