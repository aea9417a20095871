"""Where a launch script's absolute paths lead."""

from __future__ import annotations

from pathlib import Path

import pytest

from raxx_bcp_sandbox.hosts.user_data import led

DISK = Path("/home/dev/.sandbox/lightsail/hosts/instances/1/disk")


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("cat > /etc/nginx/sites-enabled/x", f"cat > {DISK}/etc/nginx/sites-enabled/x"),
        ("ls /var", f"ls {DISK}/var"),
        ("cp -r /srv/a '/opt/b'", f"cp -r {DISK}/srv/a '{DISK}/opt/b'"),
        ("root=/var/www;cd /home/ubuntu/", f"root={DISK}/var/www;cd {DISK}/"),
        ("touch /home/ubuntu/.launched /home/other", f"touch {DISK}/.launched {DISK}/home/other"),
        ("rm -rf /root", f"rm -rf {DISK}/root"),
    ],
)
def test_to_the_disk(line: str, becomes: str) -> None:
    assert led(line, DISK) == becomes


@pytest.mark.parametrize(
    "line",
    [
        "#!/bin/sh",
        "command >/dev/null 2>&1",
        "curl https://example.org/etc/x http://example.org/var",
        "cat site/etc/x ./var/x ~/srv/x ${HOME}/etc/x",
        "/usr/bin/env true; cat /proc/1/stat; ls /tmp/etc",
        "/variable /etcetera",
        f"cat {DISK}/etc/x".replace("/home/dev", "/tmp/dev"),
    ],
)
def test_everything_else_stays(line: str) -> None:
    assert led(line, DISK) == line
