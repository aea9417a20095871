"""A FreeScout without PHP: its data in a real MariaDB, its files, and a site and a queue that behave as it does."""

from raxx_bcp_sandbox.freescout import dumps
from raxx_bcp_sandbox.freescout.install import MARIADB, SITE, fill, install, site_argv, worker_argv
from raxx_bcp_sandbox.freescout.schema import NEWER, TABLES, VERSION
from raxx_bcp_sandbox.freescout.seed import APP_KEY, DATABASE, DATABASE_USER, database_password, help_desk, planted
from raxx_bcp_sandbox.freescout.tree import code_archive

__all__ = [
    "APP_KEY",
    "DATABASE",
    "DATABASE_USER",
    "MARIADB",
    "NEWER",
    "SITE",
    "TABLES",
    "VERSION",
    "code_archive",
    "database_password",
    "dumps",
    "fill",
    "help_desk",
    "install",
    "planted",
    "site_argv",
    "worker_argv",
]
