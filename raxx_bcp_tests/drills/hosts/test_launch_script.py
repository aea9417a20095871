"""The launch script, really run by sh; the programs that would act on this machine are the host's own."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from raxx_bcp.drills.hosts.launch_script import WORKERS, Install, ended_mark, launch_script
from raxx_bcp.policy import FreeScout
from raxx_bcp_tests.clients.ssh_lab import Lab as Machine
from raxx_bcp_tests.clients.ssh_lab import ssh_lab
from raxx_bcp_tests.drills.hosts.desk import UNITS, quiet

INSTALL = Install("1.8.145", "site", "help.example.com", 8088)
STOPPED = [
    *(f"stop --no-block {unit}" for unit in UNITS),
    *(f"{verb} {unit}" for unit in UNITS for verb in ("stop", "disable", "mask")),
]
SENDS = "artisan queue:work --queue=emails"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with ssh_lab(tmp_path_factory.mktemp("host")) as machine:
        yield machine


@pytest.fixture
def machine(served: Machine) -> Machine:
    """Its programs write down what they were asked."""
    quiet(served)
    for log in served.home.glob("*.log"):
        log.unlink()
    return served


def launch(machine: Machine, script: str) -> str:
    """Run it as cloud-init does, with the host's programs; what it printed."""
    file = machine.home / "user-data"
    file.write_text(script)
    done = subprocess.run(
        ["/bin/sh", str(file)],
        cwd=machine.home,
        env={"PATH": f"{machine.home}/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def called(machine: Machine, program: str) -> list[str]:
    file = machine.home / f"{program}.log"
    return file.read_text().splitlines() if file.exists() else []


def test_the_launch_script_closes_stops_and_says_that_it_has_ended(machine: Machine) -> None:
    printed = launch(machine, launch_script("d-1", UNITS))
    assert printed.splitlines()[-1] == f"{ended_mark('d-1')} 0"
    for tables in ("iptables", "ip6tables"):
        assert called(machine, tables) == [
            "-w -P OUTPUT DROP",
            "-w -F OUTPUT",
            "-w -A OUTPUT -o lo -j ACCEPT",
            "-w -A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
            "-w -A OUTPUT -o docker0 -j ACCEPT",
            "-w -A OUTPUT -o br-+ -j ACCEPT",
            "-w -A OUTPUT -j REJECT",
            "-w -I FORWARD 1 -o docker0 -j ACCEPT",
            "-w -I FORWARD 2 -o br-+ -j ACCEPT",
            "-w -I FORWARD 3 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
            "-w -I FORWARD 4 -j REJECT",
        ]
    assert called(machine, "systemctl") == STOPPED
    assert called(machine, "pkill") == ["-KILL", "-f", WORKERS] * 2


def test_what_acts_is_told_to_stop_before_egress_is_closed_and_ended_for_good_after(machine: Machine) -> None:
    """A unit may take minutes to stop: nothing waits for it while the way out is open."""
    script = launch_script("d-1", UNITS)
    order = ("stop --no-block supervisor", "pkill -KILL", "-P OUTPUT DROP", "mask supervisor", "pkill -KILL")
    places = [script.index(each) for each in order[:-1]] + [script.rindex(order[-1])]
    assert places == sorted(places)


def test_one_step_that_fails_does_not_stop_the_others(machine: Machine) -> None:
    machine.program("iptables", 'echo "$@" >>iptables.log; exit 4')
    machine.program("systemctl", 'echo "$@" >>systemctl.log; exit 5')
    assert ended_mark("d-1") in launch(machine, launch_script("d-1", UNITS))
    assert len(called(machine, "ip6tables")) == 11
    assert len(called(machine, "systemctl")) == 12
    assert called(machine, "pkill")


def test_the_pattern_of_workers_finds_workers_and_not_its_own_search() -> None:
    for line in (f"php {SENDS}", "php artisan schedule:run", "/usr/bin/php8.1 artisan freescout:fetch-emails --days=3"):
        assert re.search(WORKERS, line)
    for line in ("sh -s", f"pgrep -f -c {WORKERS}", "php artisan migrate", "nginx: worker process"):
        assert not re.search(WORKERS, line)


def tier_two(machine: Machine, install: Install = INSTALL) -> str:
    """Tier 2's script, with nginx's files in the host's home."""
    (machine.home / "nginx" / "sites-available").mkdir(parents=True, exist_ok=True)
    (machine.home / "nginx" / "sites-enabled").mkdir(exist_ok=True)
    release = machine.home / "release" / "freescout-1.8.145"
    (release / "public").mkdir(parents=True, exist_ok=True)
    (release / "artisan").write_text("#!/usr/bin/env php\n")
    machine.program("apt-get", 'echo "$@ $(grep -c OUTPUT iptables.log 2>/dev/null)" >>apt-get.log')
    machine.program("curl", 'echo "$@" >>curl.log; tar -cz -C release freescout-1.8.145')
    machine.program("chown", 'echo "$@" >>chown.log')
    return launch_script("d-2", UNITS, install=install).replace("/etc/nginx", f"{machine.home}/nginx")


def test_tier_two_installs_first_and_is_isolated_all_the_same(machine: Machine) -> None:
    printed = launch(machine, tier_two(machine))
    assert printed.splitlines()[-1] == f"{ended_mark('d-2')} 0"
    update, install = called(machine, "apt-get")
    assert update.strip() in ("update", "update 0")
    assert install.startswith("install -y -q mariadb-server nginx php-fpm ")
    assert called(machine, "curl") == [
        "-fsSL https://github.com/freescout-help-desk/freescout/archive/refs/tags/1.8.145.tar.gz"
    ]
    assert (machine.home / "site" / "artisan").is_file()
    site = (machine.home / "nginx" / "sites-enabled" / "freescout").read_text()
    for line in (
        "listen 8088 default_server;",
        "server_name help.example.com;",
        f"root {machine.home}/site/public;",
        "location / { try_files $uri $uri/ /index.php?$query_string; }",
    ):
        assert f"    {line}\n" in site
    assert len(called(machine, "iptables")) == 11
    assert called(machine, "systemctl") == [
        "reload nginx",
        *STOPPED,
    ]


def test_a_help_desk_on_https_and_mysql_is_installed_so_with_a_certificate_of_its_own(machine: Machine) -> None:
    policy = FreeScout(
        site_directory="site", site_scheme="https", site_host="help.example.com", database_server="mysql"
    )
    printed = launch(machine, tier_two(machine, Install.of(policy, "1.8.145")))
    assert printed.splitlines()[-1] == f"{ended_mark('d-2')} 0"
    assert called(machine, "apt-get")[1].startswith("install -y -q mysql-server nginx php-fpm ")
    nginx = machine.home / "nginx"
    lines = (nginx / "sites-enabled" / "freescout").read_text().splitlines()
    for line in (
        "listen 443 ssl default_server;",
        "server_name help.example.com;",
        f"ssl_certificate {nginx}/freescout.crt;",
        f"ssl_certificate_key {nginx}/freescout.key;",
    ):
        assert f"    {line}" in lines
    shown = subprocess.run(
        ["openssl", "x509", "-noout", "-subject", "-in", nginx / "freescout.crt"], capture_output=True, check=True
    )
    assert b"help.example.com" in shown.stdout
    assert (nginx / "freescout.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("program", "code"), [("apt-get", 100), ("curl", 2)])
def test_an_installation_that_fails_is_said_and_the_host_is_isolated(machine: Machine, program: str, code: int) -> None:
    """curl's own exit code is lost in the pipe; that tar gets no archive is not."""
    script = tier_two(machine)
    machine.program(program, f"exit {code}")
    printed = launch(machine, script)
    assert printed.splitlines()[-1] == f"{ended_mark('d-2')} {code}"
    assert len(called(machine, "iptables")) == 11
    assert called(machine, "pkill")


@pytest.mark.parametrize("install", [None, INSTALL], ids=["tier 1", "tier 2"])
def test_the_script_fits_into_user_data_and_holds_what_it_is_given_as_words(install: Install | None) -> None:
    script = launch_script("d-1", ["cron", "$(touch owned)"], install=install)
    assert len(script.encode()) < 16_384, "EC2's limit for user data"
    assert "systemctl mask '$(touch owned)'\n" in script
    assert subprocess.run(["sh", "-n"], input=script.encode(), check=False, timeout=10).returncode == 0
