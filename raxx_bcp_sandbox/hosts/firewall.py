"""Lightsail's own firewall in front of an instance: who may connect to its SSH server."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

from raxx_bcp_sandbox.lightsail.records import Opening

SSH: Final = 22
_TCP: Final = ("tcp", "all")


def lets_in(openings: Iterable[Opening], peer: str, port: int) -> bool:
    """May ``peer`` connect to the SSH server at ``port``?

    An opening of port 22 applies to it, whatever its real port is.
    """
    address = ipaddress.ip_address(peer)
    for opening in openings:
        opens = any(opening.first <= each <= opening.last for each in (SSH, port))
        cidrs = opening.cidrs if address.version == 4 else opening.ipv6_cidrs
        if (
            opens
            and opening.protocol in _TCP
            and any(address in ipaddress.ip_network(each, strict=False) for each in cidrs)
        ):
            return True
    return False
