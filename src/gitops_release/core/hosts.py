"""Which hosts are this machine."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Say whether a host, with or without a port, is this machine: plain HTTP stays inside it.

    Names are not looked up: only ``localhost`` and literal loopback addresses count.
    """
    name = host.rpartition(":")[0] if _has_port(host) else host
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _has_port(host: str) -> bool:
    return host.rpartition(":")[2].isdigit() and not host.endswith("]") and host.count(":") != 0
