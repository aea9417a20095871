"""systemctl as an instance has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from raxx_bcp.errors import PermanentError
from raxx_bcp_sandbox.hosts.answer import Answer
from raxx_bcp_sandbox.hosts.services import NoProcess, Service
from raxx_bcp_sandbox.hosts.units import UnitFile, Units, write

HEALTHY = ("cron", "mariadb", "php8.1-fpm")


class Broken(NoProcess):
    """Never starts."""

    def start(self) -> None:
        raise PermanentError("It does not start.", "Mend it.")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A disk's units."""
    path = tmp_path / "etc" / "units.json"
    write(path, {name: UnitFile() for name in (*HEALTHY, "broken")})
    return path


def service(name: str) -> Service:
    """The service behind a unit."""
    return Broken() if name == "broken" else NoProcess()


@pytest.fixture
def units(file: Path) -> Units:
    """A machine that has booted."""
    made = Units(file, service)
    made.boot()
    return made


def said(units: Units, line: str) -> tuple[str, int]:
    """What a command prints, and its exit status."""
    answer = units.command(line.split())
    return answer.out.decode(), answer.status


def test_what_is_enabled_runs_after_a_boot(units: Units) -> None:
    assert said(units, "is-active cron mariadb") == ("active\nactive\n", 0)
    assert said(units, "is-enabled cron") == ("enabled\n", 0)


def test_stop_disable_mask_outlive_the_machine(units: Units, file: Path) -> None:
    for verb in ("stop", "disable", "mask"):
        assert units.command([verb, "cron"]).status == 0
    assert said(units, "is-active cron") == ("inactive\n", 3)
    assert said(units, "is-enabled cron") == ("masked\n", 1)
    again = Units(file, service)
    again.boot()
    assert said(again, "is-active cron") == ("inactive\n", 3)
    refused = again.command(["start", "cron"])
    assert (refused.status, b"is masked" in refused.err) == (1, True)
    assert again.command(["unmask", "cron"]).status == 0
    assert said(again, "is-enabled cron") == ("disabled\n", 1)
    assert again.command(["start", "cron"]).status == 0
    assert said(again, "is-active cron.service") == ("active\n", 0)
    assert again.command(["enable", "cron"]).status == 0
    assert said(again, "is-enabled cron") == ("enabled\n", 0)


def test_now_does_both(units: Units) -> None:
    assert units.command(["disable", "--now", "cron"]).status == 0
    assert said(units, "is-active cron") == ("inactive\n", 3)
    assert units.command(["enable", "--now", "cron"]).status == 0
    assert said(units, "is-active cron") == ("active\n", 0)
    assert units.command(["mask", "--now", "cron"]).status == 0
    assert said(units, "is-active cron") == ("inactive\n", 3)
    assert units.command(["enable", "cron"]).status == 1


def test_an_unknown_unit(units: Units) -> None:
    assert said(units, "is-active exim4") == ("inactive\n", 4)
    assert said(units, "is-enabled exim4") == ("not-found\n", 4)
    assert units.command(["stop", "exim4"]) == Answer(
        err=b"Failed to stop exim4.service: Unit exim4.service not loaded.\n", status=5
    )
    assert units.command(["disable", "exim4"]).status == 1
    assert units.command(["start", "exim4"]).status == 5
    masked = units.command(["mask", "exim4"])
    assert (masked.status, b"does not exist, proceeding anyway" in masked.err) == (0, True)
    assert said(units, "is-enabled exim4") == ("masked\n", 1)
    assert said(units, "is-active exim4") == ("inactive\n", 4)


def test_one_that_does_not_start_has_failed(units: Units) -> None:
    assert said(units, "is-active broken") == ("failed\n", 3)
    refused = units.command(["restart", "broken"])
    assert refused.status == 1
    assert b"Job for broken.service failed" in refused.err
    assert units.command(["stop", "broken"]).status == 0
    assert said(units, "is-active broken") == ("inactive\n", 3)


def test_the_version_of_php_is_not_part_of_its_name(units: Units) -> None:
    assert said(units, "is-active php-fpm php8.2-fpm") == ("active\nactive\n", 0)


def test_any_active_one_is_enough_and_quiet_says_nothing(units: Units) -> None:
    assert said(units, "is-active exim4 cron") == ("inactive\nactive\n", 0)
    assert said(units, "is-active -q cron") == ("", 0)
    assert said(units, "daemon-reload") == ("", 0)
    assert said(units, "reload cron") == ("", 0)


@pytest.mark.parametrize("wrong", ["", "start", "dance cron"])
def test_nonsense_is_refused(units: Units, wrong: str) -> None:
    assert units.command(wrong.split()).status == 1


def test_a_stubborn_one_agrees_and_goes_on(file: Path) -> None:
    units = Units(file, service, stubborn=["cron"])
    units.boot()
    for verb in ("stop", "disable", "mask"):
        assert units.command([verb, "cron"]).status == 0
    assert said(units, "is-active cron") == ("active\n", 0)
    assert said(units, "is-enabled cron") == ("enabled\n", 0)
    units.halt()
    assert said(units, "is-active cron") == ("inactive\n", 3)


def test_a_package_brings_a_unit_that_starts_unless_it_is_masked(units: Units) -> None:
    units.add("nginx")
    assert said(units, "is-active nginx") == ("active\n", 0)
    units.command(["mask", "postfix"])
    units.add("postfix")
    assert said(units, "is-active postfix") == ("inactive\n", 3)
