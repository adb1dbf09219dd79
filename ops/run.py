"""Set up and run riskd with one command, on any machine with a python3 of 3.8 or later.

    python3 ops/run.py demo        a guarded trading day on the simulated gateway; no account needed
    python3 ops/run.py test        the tests (further arguments go to pytest)
    python3 ops/run.py check       lint, types, import directions, coverage
    python3 ops/run.py ARGS...     any riskd command

Finds an interpreter that fits by running candidates, finds uv or gets it into .boot, installs
the hash-locked lists beside this file into .venv and stamps the result, so that the next start
is immediate. Nothing outside this folder is changed. Standard library and old syntax only.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

NEED, BELOW = (3, 12), (3, 15)
PREFERRED = ("3.13", "3.12", "3.14")
ROOT = Path(__file__).resolve().parent.parent
WINDOWS = os.name == "nt"
BIN, EXE = ("Scripts", ".exe") if WINDOWS else ("bin", "")
VENV, BOOT, LOCK = ROOT / ".venv", ROOT / ".boot", ROOT / ".venv.lock"
LISTS = {"run": "requirements.txt", "dev": "requirements-dev.txt"}
PROBE = "import sys;print('%d.%d|%s' % (sys.version_info[0], sys.version_info[1], sys.executable))"
# These would steer uv or pip into another environment than ours, or have every start compile everything anew.
FOREIGN = (
    "VIRTUAL_ENV",
    "UV_PYTHON",
    "PYTHONPATH",
    "PYTHONHOME",
    "UV_PROJECT_ENVIRONMENT",
    "PYTHONDONTWRITEBYTECODE",
)
# What a first start imports: importing it once compiles it, and shows that the set-up works.
IMPORTED = (
    "actors.connection.projectx",
    "supervisor.__main__",
    "ops.watchdog.__main__",
    "ops.simulator.__main__",
    "ops.demo",
)
SETUP_WAIT_S = 900
HINT = (
    "Install Python 3.13 or 3.12 (python.org) or uv (docs.astral.sh/uv), then run this again.\n"
    "A Python in an unusual place: RISKD_PYTHON=<its path> python3 ops/run.py ..."
)

# Developer verbs: the script or module that serves each, run by .venv's interpreter.
VERBS = {
    "test": ["-m", "pytest", "-n", "2", "--dist", "loadgroup"],
    "bench": ["tests/benchmarks/bench.py"],
    "sweep": ["tests/chaos/sweep.py"],
    "catalogue": ["tests/supervisor/catalogue.py"],
    "scenarios": ["tests/scenarios/table.py"],
    "mutants": ["tests/mutants.py"],
    "pictures": ["tests/pictures.py"],
    "reference": ["-m", "ops.reference"],
    "check": ["tests/check.py"],
}


def say(text):
    sys.stderr.write("[riskd set-up] " + text + "\n")
    sys.stderr.flush()


def fits(command):
    """The path of the interpreter behind `command` if it runs and its version fits, else None."""
    try:
        out = subprocess.run(
            command + ["-c", PROBE],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=20,
            universal_newlines=True,
        ).stdout.strip()
        version, path = out.split("|", 1)
        return path if NEED <= tuple(int(n) for n in version.split(".")) < BELOW else None
    except (OSError, ValueError, subprocess.SubprocessError):
        return None  # absent, or a pyenv shim that exists and still refuses


def candidates():
    if os.environ.get("RISKD_PYTHON"):
        yield [os.environ["RISKD_PYTHON"]]
        return
    yield [sys.executable]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for version in PREFERRED:
        yield ["python" + version]
        if WINDOWS:
            yield ["py", "-" + version]
        for pattern in ("versions/%s*/bin/python3", "pyenv-win/versions/%s*/python.exe"):
            for hit in sorted(pyenv.glob(pattern % version), reverse=True):
                yield [str(hit)]


def clean_environment():
    found = {k: v for k, v in os.environ.items() if k not in FOREIGN}
    # Trust what the system trusts, as pip does: a company's own certificate is no reason to fail.
    # Two names, because uv renamed the switch.
    found.setdefault("UV_SYSTEM_CERTS", "1")
    found.setdefault("UV_NATIVE_TLS", "1")
    return found


def run(command, what):
    if subprocess.run(command, cwd=str(ROOT), env=clean_environment()).returncode:
        sys.exit("cannot set up: %s failed; the lines above say why.\n%s" % (what, HINT))


def find_uv(python):
    hit = shutil.which("uv")
    if hit:
        probe = subprocess.run([hit, "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if probe.returncode == 0:
            return hit
    own = BOOT / BIN / ("uv" + EXE)
    if not own.exists():
        say("no uv here: getting it into .boot (once, about 25 MB)")
        shutil.rmtree(str(BOOT), ignore_errors=True)
        run([python or sys.executable, "-m", "venv", str(BOOT)], "python -m venv")
        pip = [str(BOOT / BIN / ("python" + EXE)), "-m", "pip", "install", "-q"]
        pip += ["--disable-pip-version-check", "--require-hashes"]
        run(pip + ["-r", str(ROOT / "ops" / "requirements-uv.txt")], "pip install uv")
    return str(own)


def digest_of(group):
    digest = hashlib.sha256(str(ROOT).encode())  # a moved folder is set up again
    for path in (ROOT / "pyproject.toml", ROOT / "ops" / LISTS[group]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def stamp(group):
    return VENV / (".riskd-%s" % group)


def is_ready(group):
    mark = stamp(group)
    return mark.exists() and mark.read_text() == digest_of(group)


def alive(pid):
    if WINDOWS:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def take_lock():
    """Let one first start do the work while a second waits for it."""
    deadline = time.monotonic() + SETUP_WAIT_S
    told = False
    while True:
        try:
            handle = os.open(str(LOCK), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            os.write(handle, str(os.getpid()).encode())
            os.close(handle)
            return
        except FileExistsError:
            try:
                owner = int(LOCK.read_text() or "0")
            except (OSError, ValueError):
                owner = 0
            if owner and not alive(owner):
                LOCK.unlink()
                continue
            if time.monotonic() > deadline:
                sys.exit("cannot set up: process %s holds %s; remove it if that is not so." % (owner, LOCK))
            if not told:
                say("another set-up is running; waiting for it")
                told = True
            time.sleep(0.2)


def serves(group):
    """Whether what is installed is enough: the developer's list holds the other one."""
    return is_ready(group) or (group == "run" and is_ready("dev"))


def ensure(group):
    if serves(group):
        return
    take_lock()
    try:
        if serves(group):
            return
        if stamp("dev").exists():
            group = "dev"  # never strip a developer's tools
        install(group)
        stamp(group).write_text(digest_of(group))
    except KeyboardInterrupt:
        sys.exit("set-up interrupted; run the same command again to finish it.")
    finally:
        LOCK.unlink()


def install(group):
    python = next((hit for hit in map(fits, candidates()) if hit), None)
    uv = find_uv(python)
    if python is None:
        say("no fitting Python found here: asking uv to fetch one")
    chosen = python or "Python " + PREFERRED[0]
    say("making .venv with %s (about 90 MB of downloads the first time)" % chosen)
    if not (VENV / BIN / ("python" + EXE)).exists() or fits([str(VENV / BIN / ("python" + EXE))]) is None:
        run([uv, "venv", "--quiet", "--clear", "--python", python or PREFERRED[0], str(VENV)], "uv venv")
    target = ["--python", str(VENV / BIN / ("python" + EXE))]
    locked = str(ROOT / "ops" / LISTS[group])
    run([uv, "pip", "sync", "--quiet", "--require-hashes"] + target + [locked], "uv pip sync")
    # The locked list holds the build backend, so nothing is resolved here.
    itself = ["--no-deps", "--no-build-isolation", "-e", str(ROOT)]
    run([uv, "pip", "install", "--quiet"] + target + itself, "uv pip install")
    run([target[1], "-c", "import " + ", ".join(IMPORTED)], "the first start")


def main(argv):
    argv = argv or ["--help"]
    verb = VERBS.get(argv[0])
    if verb and verb[0].endswith(".py") and not (ROOT / verb[0]).exists():
        sys.exit("cannot run %s: it is not part of this version yet (see ops/docs/changelog.md)." % argv[0])
    ensure("dev" if verb else "run")
    if verb:
        os.chdir(str(ROOT))
        command = [str(VENV / BIN / ("python" + EXE))] + verb + argv[1:]
    else:
        command = [str(VENV / BIN / ("riskd" + EXE))] + argv
    environment = {k: v for k, v in os.environ.items() if k not in FOREIGN}
    if not WINDOWS:
        sys.stdout.flush()
        os.execve(command[0], command, environment)
    return subprocess.run(command, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
