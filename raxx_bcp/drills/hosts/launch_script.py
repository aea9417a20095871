"""The launch script of a throwaway instance: it keeps a copy of production from acting on the world.

Pure text, run by cloud-init as root under ``sh`` at the first boot. It holds no secret: anybody on the instance can
read it. The drill does not trust that it worked: it asserts that over SSH (``isolation.py``).
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from raxx_bcp.policy_help_desk import HelpDeskHost

WORKERS: Final = "artisan (queue:work|schedule:run|freescout:fetch-emails)"
"""An extended regular expression for the command lines of processes that fetch or send mail for FreeScout."""

_RELEASE: Final = "https://github.com/freescout-help-desk/freescout/archive/refs/tags/{version}.tar.gz"
_PACKAGES: Final = (
    *("nginx", "php-fpm", "php-mysql", "php-mbstring", "php-xml", "php-imap"),
    *("php-zip", "php-gd", "php-curl", "php-intl", "zstd", "openssl", "iptables", "netcat-openbsd", "procps"),
)
"""The units of Debian 12 and Ubuntu 22.04 and 24.04. The last ones are used to assert the isolation."""
_CLOSE_EGRESS: Final = """\
for tables in iptables ip6tables; do
    $tables -w -P OUTPUT DROP
    $tables -w -F OUTPUT
    $tables -w -A OUTPUT -o lo -j ACCEPT
    $tables -w -A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
    $tables -w -A OUTPUT -o docker0 -j ACCEPT
    $tables -w -A OUTPUT -o br-+ -j ACCEPT
    $tables -w -A OUTPUT -j REJECT
    $tables -w -I FORWARD 1 -o docker0 -j ACCEPT
    $tables -w -I FORWARD 2 -o br-+ -j ACCEPT
    $tables -w -I FORWARD 3 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
    $tables -w -I FORWARD 4 -j REJECT
done
"""
"""Traffic from containers passes FORWARD, not OUTPUT.

Containers may be reached (Docker's bridges), and may reach each other. The last rule refuses at once: with the policy
alone every look-up waits for its time-out, and sudo does one for every command.
"""
_INSTALL: Final = """\
install() (
    set -eu
    export DEBIAN_FRONTEND=noninteractive
    apt-get update
    apt-get install -y -q {packages}
    mkdir -p {directory}
    curl -fsSL {release} | tar -xz --strip-components=1 -C {directory}
    chown -R www-data:www-data {directory}
    site=$(cd {directory} && pwd)
    {certificate}cat >/etc/nginx/sites-available/freescout <<SITE
server {{
    listen {port}{tls} default_server;
    server_name {host};{tls_files}
    root $site/public;
    index index.php;
    client_max_body_size 64m;
    location / {{ try_files \\$uri \\$uri/ /index.php?\\$query_string; }}
    location ~ \\.php$ {{
        include snippets/fastcgi-php.conf;
        fastcgi_pass unix:/run/php/php-fpm.sock;
    }}
}}
SITE
    rm -f /etc/nginx/sites-enabled/default
    ln -sf /etc/nginx/sites-available/freescout /etc/nginx/sites-enabled/freescout
    systemctl reload nginx
)
install
installed=$?
"""


_CERTIFICATE: Final = """\
openssl req -x509 -newkey rsa:2048 -nodes -days 7 -subj {subject} \\
        -keyout /etc/nginx/freescout.key -out /etc/nginx/freescout.crt
    """
"""A certificate made on the host itself: FreeScout behind HTTPS redirects every plain request to production."""
_TLS: Final = " ssl"
_TLS_FILES: Final = "\n    ssl_certificate /etc/nginx/freescout.crt;\n    ssl_certificate_key /etc/nginx/freescout.key;"


@dataclass(frozen=True)
class Install:
    """The FreeScout that Tier 2 installs on an empty host: code, web server and an empty database server."""

    version: str
    site_directory: str
    site_host: str
    site_port: int
    tls: bool = False
    database_server: str = "mariadb"

    @classmethod
    def of(cls, policy: HelpDeskHost, version: str) -> Install:
        """``version`` of FreeScout, as the policy says."""
        tls = policy.site_scheme == "https"
        return cls(version, policy.site_directory, policy.site_host, policy.port, tls, policy.database_server)


def launch_script(drill_id: str, quiet_units: Sequence[str], *, install: Install | None = None) -> str:
    """Stop and mask ``quiet_units``, close egress, end FreeScout's workers, and report the end.

    This is the second protection, behind the copy guard on the disk: cloud-init runs it when all else is up. With
    ``install`` the packages come first, while egress is open: no data of production is on such a host yet.
    """
    parts = [f"#!/bin/sh\n# raxx-bcp, drill {drill_id}: this copy must not act on the world.\ninstalled=0\n"]
    parts += [_install(install)] if install else []
    end_workers = f"pkill -KILL -f {shlex.quote(WORKERS)}\n"
    stop_soon = "".join(f"systemctl stop --no-block {shlex.quote(unit)}\n" for unit in quiet_units)
    parts += [stop_soon, end_workers, _CLOSE_EGRESS, *map(_quiet, quiet_units)]
    parts += [end_workers, f'echo "{ended_mark(drill_id)} $installed"\n']
    return "".join(parts)


def ended_mark(drill_id: str) -> str:
    """The start of the script's last line in the log; the exit code of the installation follows."""
    return f"raxx-bcp launch script of {drill_id} has ended, installation:"


def _quiet(unit: str) -> str:
    quoted = shlex.quote(unit)
    return f"systemctl stop {quoted}\nsystemctl disable {quoted}\nsystemctl mask {quoted}\n"


def _install(install: Install) -> str:
    return _INSTALL.format(
        packages=" ".join((f"{install.database_server}-server", *_PACKAGES)),
        certificate=_CERTIFICATE.format(subject=shlex.quote(f"/CN={install.site_host}")) if install.tls else "",
        tls=_TLS if install.tls else "",
        tls_files=_TLS_FILES if install.tls else "",
        directory=shlex.quote(install.site_directory),
        release=shlex.quote(_RELEASE.format(version=install.version)),
        host=shlex.quote(install.site_host),
        port=install.site_port,
    )
