"""What Raxx's help desk has on its disk: a queue and its worker, cron, mail, and everything else that would act."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from raxx_bcp_tests.real_host.machine import IDENTITY, Machine, write
from raxx_bcp_tests.real_host.outside import GATEWAY, HOST, MAIL_SERVER

ORIGINAL: Final = "11111111-aaaa-4bbb-8ccc-000000000001"
COPY: Final = "22222222-aaaa-4bbb-8ccc-000000000002"
GUARD: Final = Path(__file__).resolve().parents[2] / "deploy" / "copy-guard"
CUSTOMERS: Final = ("ann@example.net", "bob@example.net", "cat@example.net")
SPOOLED: Final = "dan@example.net"
"""Waits in exim's own spool."""
LOGIN: Final = "admin"

_NETWORK: Final = f"""\
[Unit]
Description=A static address
DefaultDependencies=no
After=network-pre.target
Wants=network-pre.target network.target
Before=network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'ip link set lo up; ip addr add {HOST}/24 dev host0; ip link set host0 up; \
ip route add default via {GATEWAY}'
[Install]
WantedBy=multi-user.target
"""
_ARTISAN: Final = f'''\
"""Acts as FreeScout's artisan: takes jobs and mails them, as soon as there is a database."""
import smtplib, socket, sys, time
import pymysql

def tick():
    try:
        db = pymysql.connect(unix_socket="/run/mysqld/mysqld.sock", user="root", database="freescout", autocommit=True)
    except pymysql.Error:
        return
    with db, db.cursor() as rows:
        rows.execute("SELECT id, payload FROM jobs ORDER BY id")
        for job, to in rows.fetchall():
            try:
                with smtplib.SMTP("{MAIL_SERVER}", 25, timeout=5) as mail:
                    mail.sendmail("help@example.com", [to], "Subject: Re: your ticket\\n\\nHello")
                status = 1
                rows.execute("DELETE FROM jobs WHERE id = %s", (job,))
            except OSError:
                status = 2
            rows.execute("INSERT INTO send_logs VALUES (NULL, %s, %s, NOW(), NOW())", (to, status))

if sys.argv[1] == "schedule:run":
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"fetch", ("203.0.113.143", 143))
    except OSError:
        pass
    tick()
while sys.argv[1] == "queue:work":
    tick()
    time.sleep(0.3)
'''  # noqa: S608 - addresses of ours
_SUPERVISED: Final = """\
[program:freescout]
command=/usr/bin/python3 /var/www/html/artisan queue:work --queue=emails,default
autorestart=true
"""
_TABLES: Final = """\
CREATE DATABASE freescout DEFAULT CHARACTER SET utf8mb4;
CREATE TABLE freescout.jobs (id INT AUTO_INCREMENT PRIMARY KEY, payload TEXT);
CREATE TABLE freescout.send_logs
  (id INT AUTO_INCREMENT PRIMARY KEY, email VARCHAR(191), status TINYINT, created_at DATETIME, updated_at DATETIME);
"""
_EXIM: Final = f"""\
dc_eximconfig_configtype='smarthost'
dc_other_hostnames=''
dc_local_interfaces='127.0.0.1'
dc_readhost=''
dc_relay_domains=''
dc_minimaldns='true'
dc_relay_nets=''
dc_smarthost='{MAIL_SERVER}'
CFILEMODE='644'
dc_use_split_config='false'
dc_hide_mailname='false'
dc_mailname_in_oh='true'
dc_localdelivery='mail_spool'
"""


def furnish(root: Path, authority: str) -> None:
    """Make the mounted image at ``root`` production. ``authority``: the public key that signs logins."""
    write(root / IDENTITY, f"{ORIGINAL}\n")
    write(root / "etc/copy-guard/conf", f"identity=/{IDENTITY}\n")
    write(root / "etc/hosts", "127.0.0.1 localhost\n127.0.1.1 tickets.example.com tickets\n")
    write(root / "etc/hostname", "tickets\n")
    _replace(root / "etc/resolv.conf", f"nameserver {GATEWAY}\n")
    write(
        root / "etc/cloud/cloud.cfg.d/99-test.cfg",
        "datasource_list: [ NoCloud ]\nlocale: C.UTF-8\napt: {preserve_sources_list: true}\n",
    )
    write(root / "etc/systemd/system/networking.service", _NETWORK)
    write(root / "etc/ssh/authority.pub", f"{authority}\n")
    write(root / "etc/ssh/sshd_config.d/authority.conf", "TrustedUserCAKeys /etc/ssh/authority.pub\nUseDNS no\n")
    write(root / "var/www/html/artisan", _ARTISAN)
    write(root / "var/www/html/.env", "APP_TIMEZONE=UTC\n")
    write(root / "etc/supervisor/conf.d/freescout.conf", _SUPERVISED)
    every = "/usr/bin/python3 /var/www/html/artisan schedule:run"
    write(root / "etc/cron.d/freescout", f"* * * * * root {every}\n@reboot root {every}\n")
    write(root / "etc/mysql/mariadb.conf.d/99-small.cnf", "[mariadbd]\ninnodb_log_file_size=8M\n")
    write(root / "etc/exim4/update-exim4.conf.conf", _EXIM)
    write(root / "etc/mailname", "tickets.example.com\n")
    inside(root, "useradd", "--create-home", "--shell", "/bin/bash", LOGIN)
    write(root / "etc/sudoers.d/login", f"{LOGIN} ALL=(ALL) NOPASSWD:ALL\n", 0o440)
    inside(root, "systemctl", "enable", "networking.service")
    inside(root, "update-exim4.conf")


def fill(machine: Machine) -> None:
    """The help desk's tables, with the replies that wait to be sent."""
    machine.run("mariadb", stdin=_TABLES)


def queue(machine: Machine) -> None:
    """Replies to customers wait, and a mail that exim has not got rid of."""
    rows = ",".join(f"('{each}')" for each in CUSTOMERS)
    machine.run("mariadb", "freescout", stdin=f"DELETE FROM jobs; INSERT INTO jobs (payload) VALUES {rows};")  # noqa: S608 - ours
    machine.run("exim4", "-odq", SPOOLED, stdin="Subject: late\n\nHello\n")


def bring_guard(root: Path) -> None:
    """Put what Raxx installs the guard from into root's home."""
    shutil.copytree(GUARD, root / "root/copy-guard", dirs_exist_ok=True)


def inside(root: Path, *argv: str) -> None:
    """Run a program of the image, which does not run."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    done = subprocess.run(
        ["chroot", str(root), "env", "-i", f"PATH={path}", "DEBIAN_FRONTEND=noninteractive", *argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)} ended with {done.returncode}: {done.stdout}{done.stderr}")


def _replace(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)
    write(file, text)
