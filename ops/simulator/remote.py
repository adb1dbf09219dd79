"""The simulator as a process of its own: started, asked and ended from synchronous code."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ops.simulator.settings import Urls
from ops.simulator.shapes import Json

ROOT = Path(__file__).resolve().parents[2]
#: Seconds that an operation, the start or the end of the process may take.
PATIENCE = 20.0
#: Loopback is reached directly, whatever proxy the environment names.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def control(control_url: str, request: Json) -> Json:
    """Carries out one control operation; raises ValueError with the reason when it cannot be done."""
    body = json.dumps(request).encode()
    patience = PATIENCE + float(str(request.get("timeout", 0)))
    try:
        with DIRECT.open(control_url, body, timeout=patience) as answer:
            result: Json = json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            raise ValueError(json.load(error)["error"]) from None
    return result


class RemoteSimulator:
    """A simulator process that listens."""

    def __init__(self, urls: Urls, process: subprocess.Popen[bytes]) -> None:
        self.urls = urls
        self.process = process

    def control(self, request: Json) -> Json:
        return control(self.urls.control_url, request)


@contextmanager
def run_as_process(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[RemoteSimulator]:
    """Runs `python -m ops.simulator` for the length of a `with` block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ops.simulator", *arguments],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=dict(os.environ if environment is None else environment),
    )
    try:
        line = process.stdout.readline() if process.stdout else b""
        if not line:
            raise RuntimeError(f"the simulator ended with exit code {process.wait(PATIENCE)}")
        yield RemoteSimulator(msgspec.json.decode(line, type=Urls), process)
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
