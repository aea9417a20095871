"""The keys of ``[freescout]`` that describe the help desk's own host, as far as the drills know it.

The values named here were tested, or are documented to be the same; the drills refuse everything else by name.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_PORTS = {"http": 80, "https": 443}


class HelpDeskHost(BaseModel):
    """Paths, units, site and database of FreeScout's host; the defaults are Debian's and Ubuntu's."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    site_directory: Annotated[str, Field(pattern=r"^[\w./-]+$")] = "/var/www/html"
    """Where FreeScout's code is on its host; a relative path starts at the login's home."""
    quiet_units: tuple[Annotated[str, Field(pattern=r"^[\w.@-]+$")], ...] = ("cron", "supervisor", "postfix", "exim4")
    """What systemd must not run on a restored copy: every unit that would fetch or send mail."""
    site_scheme: Literal["http", "https"] = "http"
    """``https``: the site is requested over TLS. A copy cannot prove that it is production, so its certificate is not
    verified; the drill's row says so."""
    site_host: Annotated[str, Field(pattern=r"^[\w.-]+$")] = "localhost"
    """The site's canonical name. Requested on the copy's own loopback, whatever DNS says about the name."""
    site_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Where the copy's web server listens; 0: 80, or 443 with ``https``."""
    database: Annotated[str, Field(pattern=r"^[\w$][\w$-]{0,63}$")] = "freescout"
    database_server: Literal["mariadb", "mysql"] = "mariadb"
    """MariaDB 10.6 to 11, or MySQL 8 and 9."""
    database_login: Annotated[str, Field(pattern=r"^(socket|env|/[\w./-]+)$")] = "socket"
    """How Tier 1 logs in to the copy's database: ``socket`` (root, by the calling user), ``env`` (the site's own user
    and password, read on the copy from its ``.env``), or the path of an option file there (``/root/.my.cnf``)."""

    @property
    def port(self) -> int:
        """The address at which the site is requested."""
        return self.site_port or _PORTS[self.site_scheme]

    @property
    def site_url(self) -> str:
        """The site's address, without a path."""
        port = "" if self.port == _PORTS[self.site_scheme] else f":{self.port}"
        return f"{self.site_scheme}://{self.site_host}{port}"
