"""How one logs in to a test host: as Lightsail says it, over real SSH, from the network that it is in."""

from __future__ import annotations

import time
from typing import Any, Final

from raxx_bcp.clients.instance_shapes import Access, access_of
from raxx_bcp.clients.ssh import Shell, connect
from raxx_bcp_sandbox.hosts.certificates import Authority
from raxx_bcp_tests.real_host import production
from raxx_bcp_tests.real_host.machine import Machine
from raxx_bcp_tests.real_host.outside import HOST

SSH: Final = 22
_SECONDS: Final = 900.0
"""For how long a login is good: longer than a test with a busy machine needs."""


def details(machine: Machine, authority: Authority) -> dict[str, Any]:
    """``accessDetails`` of GetInstanceAccessDetails for ``machine``, which runs."""
    keys = machine.run("sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub").splitlines()
    known = [dict(zip(("algorithm", "publicKey"), line.split(), strict=False)) for line in keys]
    login = authority.login(production.LOGIN, time.time(), _SECONDS)
    return {**login, "ipAddress": HOST, "hostKeys": known, "protocol": "ssh"}


def access(machine: Machine, authority: Authority) -> Access:
    """The same, as the product reads it."""
    return access_of(details(machine, authority))


def log_in(machine: Machine, given: Access, port: int = SSH) -> Shell:
    """The product's own login. Raises what it raises."""
    return machine.outside.inside(lambda: connect(given, port))
