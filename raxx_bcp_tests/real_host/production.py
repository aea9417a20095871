"""What Raxx's help desk has on its disk: a queue and its worker, cron, mail, and everything else that would act."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from raxx_bcp_sandbox.freescout import tree
from raxx_bcp_sandbox.freescout.rows import HelpDesk, literal
from raxx_bcp_sandbox.freescout.seed import DATABASE, DATABASE_USER, database_password
from raxx_bcp_tests.real_host.machine import IDENTITY, Machine, write
from raxx_bcp_tests.real_host.outside import GATEWAY, HOST, MAIL_SERVER

ORIGINAL: Final = "11111111-aaaa-4bbb-8ccc-000000000001"
COPY: Final = "22222222-aaaa-4bbb-8ccc-000000000002"
GUARD: Final = Path(__file__).resolve().parents[2] / "deploy" / "copy-guard"
CUSTOMERS: Final = ("ann@example.net", "bob@example.net", "cat@example.net")
SPOOLED: Final = "dan@example.net"
"""Waits in exim's own spool."""
LOGIN: Final = "admin"
SITE: Final = "var/www/html"
SEAM: Final = "/etc/copy-guard/conf"
"""Leads the guard to an identity of the machine's own; on a real machine there is nothing before it is installed."""
SEAM_TEXT: Final = f"identity=/{IDENTITY}\n"

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
                with smtplib.SMTP("{MAIL_SERVER}", 25, "tickets", timeout=5) as mail:
                    mail.sendmail("help@example.com", [to], "Subject: Re: your ticket\\n\\nHello")
                status = 1
                rows.execute("DELETE FROM jobs WHERE id = %s", (job,))
            except OSError:
                status = 2
            rows.execute("INSERT INTO send_logs (email, mail_type, status, created_at, updated_at) "
                         "VALUES (%s, 2, %s, NOW(), NOW())", (to, status))

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
_CLOUD: Final = """\
datasource_list: [ NoCloud ]
ssh_genkeytypes: [ ed25519, ecdsa ]
cloud_init_modules: [ set-hostname, ssh ]
cloud_config_modules: [ runcmd ]
cloud_final_modules: [ scripts-user, final-message ]
"""
"""What a drill needs of cloud-init; the rest of it, and an RSA key, took half the processor time of a boot."""
_NGINX: Final = """\
server {
    listen 80 default_server;
    root /var/www/html/public;
    location / { try_files $uri /index.php?$query_string; }
    location ~ \\.php$ { include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/php-fpm.sock; }
}
"""
_DATABASE: Final = f"""\
CREATE DATABASE {DATABASE} DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE USER {DATABASE_USER}@localhost IDENTIFIED BY {literal(database_password())};
GRANT ALL ON {DATABASE}.* TO {DATABASE_USER}@localhost;
USE {DATABASE};
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


def furnish(root: Path, authority: str, desk: HelpDesk) -> None:
    """Make the mounted image at ``root`` production. ``authority``: the public key that signs logins."""
    write(root / IDENTITY, f"{ORIGINAL}\n")
    write(root / SEAM.lstrip("/"), SEAM_TEXT)
    write(root / "etc/hosts", "127.0.0.1 localhost\n127.0.1.1 tickets.example.com tickets\n")
    write(root / "etc/hostname", "tickets\n")
    _replace(root / "etc/resolv.conf", f"nameserver {GATEWAY}\n")
    write(root / "etc/cloud/cloud.cfg.d/99-test.cfg", _CLOUD)
    write(root / "etc/systemd/system/networking.service", _NETWORK)
    write(root / "etc/ssh/authority.pub", f"{authority}\n")
    write(root / "etc/ssh/sshd_config.d/authority.conf", "TrustedUserCAKeys /etc/ssh/authority.pub\nUseDNS no\n")
    tree.write(root / SITE, desk.files, version=desk.version)
    write(root / SITE / "artisan", _ARTISAN)
    shutil.copy(Path(__file__).with_name("site.php"), root / SITE / "public/index.php")
    inside(root, "chown", "-R", "www-data:www-data", f"/{SITE}")
    _replace(root / "etc/nginx/sites-enabled/default", _NGINX)
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


def fill(machine: Machine, desk: HelpDesk) -> None:
    """The help desk's database, as ``desk`` has it."""
    script = b"".join(desk.statements()).decode()
    machine.run("mariadb", "--default-character-set=utf8mb4", stdin=_DATABASE + script)


def queue(machine: Machine) -> None:
    """Replies to customers wait, and a mail that exim has not got rid of."""
    queue_replies(machine)
    machine.run("exim4", "-odq", SPOOLED, stdin="Subject: late\n\nHello\n")


def queue_replies(machine: Machine) -> None:
    """Replies to customers wait, and nothing else."""
    rows = ",".join(f"('emails', '{each}', 0, 0, 0)" for each in CUSTOMERS)
    columns = "queue, payload, attempts, available_at, created_at"
    machine.run("mariadb", DATABASE, stdin=f"DELETE FROM jobs; INSERT INTO jobs ({columns}) VALUES {rows};")  # noqa: S608 - ours


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
