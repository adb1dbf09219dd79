"""Windows: a scheduled task that starts at boot, and the same as a service for a wrapper such as WinSW.

The task needs nothing that Windows does not bring; the wrapper's file is for machines on which services are
watched from outside. Only one of the two may be in use.
"""

from __future__ import annotations

import subprocess
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from ops.units.layout import Layout, Service, command, environment

_TASK = "http://schemas.microsoft.com/windows/2004/02/mit/task"
_SETTINGS = {
    "MultipleInstancesPolicy": "IgnoreNew",
    "DisallowStartIfOnBatteries": "false",
    "StopIfGoingOnBatteries": "false",
    "AllowHardTerminate": "true",
    "StartWhenAvailable": "true",
    "RunOnlyIfNetworkAvailable": "false",
    "AllowStartOnDemand": "true",
    "Enabled": "true",
    "Hidden": "false",
    "RunOnlyIfIdle": "false",
    "ExecutionTimeLimit": "PT0S",
    "Priority": "4",
}


def task(where: Layout, service: Service) -> str:
    """The XML for `schtasks /Create /XML`."""
    ElementTree.register_namespace("", _TASK)
    top = Element(f"{{{_TASK}}}Task", version="1.2")
    _put(_put(top, "RegistrationInfo"), "Description", "riskd keeps a futures account inside its limits")
    _put(_put(_put(top, "Triggers"), "BootTrigger"), "Enabled", "true")
    principal = _put(_put(top, "Principals"), "Principal")
    principal.set("id", "Author")
    _put(principal, "UserId", where.account)
    _put(principal, "RunLevel", "LeastPrivilege")
    settings = _put(top, "Settings")
    for name, value in _SETTINGS.items():
        _put(settings, name, value)
    again = _put(settings, "RestartOnFailure")
    _put(again, "Interval", "PT1M")
    _put(again, "Count", "999")
    actions = _put(top, "Actions")
    actions.set("Context", "Author")
    run = _put(actions, "Exec")
    program, *arguments = command(where, service)
    _put(run, "Command", program)
    _put(run, "Arguments", subprocess.list2cmdline(arguments))
    _put(run, "WorkingDirectory", str(where.home))
    return _text(top)


def wrapper(where: Layout, service: Service) -> str:
    """The XML that a service wrapper reads (WinSW's names)."""
    top = Element("service")
    program, *arguments = command(where, service)
    for name, value in (
        ("id", where.label),
        ("name", where.label),
        ("description", "riskd keeps a futures account inside its limits"),
        ("executable", program),
        ("arguments", subprocess.list2cmdline(arguments)),
        ("workingdirectory", str(where.home)),
        ("startmode", "Automatic"),
        ("stoptimeout", "30 sec"),
    ):
        SubElement(top, name).text = value
    SubElement(SubElement(top, "serviceaccount"), "username").text = "NT AUTHORITY\\LocalService"
    SubElement(top, "onfailure", action="restart", delay="1 sec")
    for name, value in environment(where).items():
        SubElement(top, "env", name=name, value=value)
    return _text(top)


def _put(parent: Element, name: str, text: str | None = None) -> Element:
    child = SubElement(parent, f"{{{_TASK}}}{name}")
    child.text = text
    return child


def _text(top: Element) -> str:
    ElementTree.indent(top)
    return f'<?xml version="1.0"?>\n{ElementTree.tostring(top, "unicode")}\n'
