"""Checks keys against each other: refuses a `[fleet]` that its machines could not share."""

import stat
from importlib.util import find_spec
from typing import Final

from docpipe.config.config import SERVICES, Config
from docpipe.config.parsing import FAKE
from docpipe.errors import ConfigError

_MAKE: Final = "`openssl rand -hex 64 > fleet.key && chmod 600 fleet.key`"
_OF_TLS: Final = ("api_key", "ca_file", "client_cert_file", "client_key_file", "server_name")


def refuse_half_a_fleet(config: Config, *, services: bool) -> None:
    """Require what runs on Temporal need; `services`: whether the services' secrets are read.

    Raises:
        ConfigError: names the key, and what to set.
    """
    fleet = config.fleet
    if find_spec("temporalio") is None:
        raise ConfigError("fleet.temporal needs a package: pip install 'docpipe[fleet]'.")
    if fleet.key is None:
        raise ConfigError(
            "fleet.key is missing: it encrypts what is sent to Temporal. Make a file with one by "
            f"{_MAKE}, bring it to every machine of the fleet, and set fleet.key_file to its path."
        )
    _refuse_open_key(config)
    if not fleet.redis:
        raise ConfigError(
            "fleet.temporal needs fleet.redis: workers on several machines have to count one quota together. "
            "Set it to the address of a Redis or Valkey that all of them reach."
        )
    if not fleet.tls and (given := [key for key in _OF_TLS if getattr(fleet, key)]):
        raise ConfigError(f"fleet.{given[0]} is for TLS: set fleet.tls = true, too.")
    if bool(fleet.client_cert_file) != bool(fleet.client_key_file):
        raise ConfigError("fleet.client_cert_file and fleet.client_key_file belong together: set both.")
    if services:
        _refuse_parts_of_one_machine(config)


def _refuse_open_key(config: Config) -> None:
    """Refuse a key file that all may read: the key decrypts whatever Temporal stores of patients."""
    file = config.fleet.key.file if config.fleet.key else None
    if file is not None and file.stat().st_mode & stat.S_IROTH:
        raise ConfigError(
            f"fleet.key_file: every user of this machine can read {file}: run `chmod o-rwx {file}`. If "
            "others use the machine, write a new key above the old one."
        )


def _refuse_parts_of_one_machine(config: Config) -> None:
    """Refuse what is inside one process or in its state folder, where no other machine reaches it."""
    for name in SERVICES:
        if getattr(config, name).base_url == FAKE:
            raise ConfigError(
                f"{name}.base_url: each worker of a fleet would start a fake of its own. Set an address; "
                "`docpipe fleet up` starts fakes that a whole fleet shares."
            )
    if config.patients.url in ("", FAKE):
        raise ConfigError(
            "patients.url: a fleet needs a database that every machine reaches, such as "
            '"postgresql://reader@db.example/clinic".'
        )
    if config.storage.url.startswith("memory:"):
        raise ConfigError(
            "storage.url: memory:// ends with its process: a fleet needs a bucket, or a folder that all "
            "machines share."
        )
