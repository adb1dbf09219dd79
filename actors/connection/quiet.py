"""Keeps the SDK and its libraries from writing to stdout, and their log lines from holding a token.

The SDK attaches a JSON handler on stdout to the logger of each of its modules when it is imported, and
again when some objects are built, unless that logger has a handler already. So every one of them gets a
silent handler first, found by file name: importing the package to find them would be too late.
pysignalr logs the negotiate URL, which contains the token, at INFO.
"""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

LEVELS = {
    "project_x_py": logging.WARNING,
    "pysignalr": logging.WARNING,
    "websockets": logging.WARNING,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "hpack": logging.WARNING,
}


def silence(package: str = "project_x_py") -> int:
    """Give every module logger of the package a silent handler; how many there are."""
    for name, level in LEVELS.items():
        logging.getLogger(name).setLevel(level)
    names = module_names(package)
    for name in names:
        logger = logging.getLogger(name)
        if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            logger.addHandler(logging.NullHandler())
        logger.propagate = False
    # A hub that ends is our own finding, told as link state; the library's line would say it twice.
    logging.getLogger("pysignalr").addHandler(logging.NullHandler())
    logging.getLogger("pysignalr").propagate = False
    return len(names)


def module_names(package: str) -> list[str]:
    """Dotted names of all modules of an installed package, without importing any of it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"cannot find {package}: not installed. Run the set-up again.")
    root = Path(spec.origin).parent
    return sorted(_dotted(package, root, file) for file in root.rglob("*.py"))


def _dotted(package: str, root: Path, file: Path) -> str:
    parts = list(file.relative_to(root).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join([package, *parts])
