"""The section `[fleet]` of the configuration."""

from dataclasses import dataclass

from docpipe.config.key import key as _key
from docpipe.config.parsing import (
    Secret,
    parse_host_port,
    parse_keys,
    parse_prefix,
    parse_redis,
    parse_secret,
    parse_switch,
    parse_text,
    parse_web_address,
)


@dataclass(frozen=True, slots=True)
class Fleet:
    """What several docpipe processes share: quotas through Redis, runs through Temporal."""

    redis: str = _key(
        parse_redis,
        "",
        about="Redis or Valkey that counts the quotas of all processes; empty: each counts its own; "
        "extra `docpipe[fleet]`",
        in_file=True,
        example='"redis://redis.example:6379/0"',
    )
    prefix: str = _key(
        parse_prefix, "docpipe", about="name of this fleet, with which its keys in Redis begin"
    )
    temporal: str = _key(
        parse_host_port,
        "",
        about="Temporal server that keeps the runs and assigns their activities to workers (`docpipe "
        "worker`); empty: each process keeps its own",
        example='"temporal.example:7233"',
    )
    namespace: str = _key(parse_text, "default", about="namespace of this fleet in Temporal")
    tls: bool = _key(parse_switch, default=False, about="whether Temporal is reached under TLS")
    ca_file: str = _key(
        parse_text,
        "",
        about="certificates (PEM) to trust instead of the system's",
        example='"/etc/docpipe/temporal-ca.pem"',
    )
    client_cert_file: str = _key(
        parse_text,
        "",
        about="client certificate (PEM) of docpipe for Temporal, for mTLS",
        example='"/etc/docpipe/temporal-client.pem"',
    )
    client_key_file: str = _key(
        parse_text, "", about="its private key", example='"/run/secrets/temporal-client-key"'
    )
    server_name: str = _key(
        parse_text,
        "",
        about="name in Temporal's certificate, if not that of its address",
        example='"temporal.internal"',
    )
    api_key: Secret | None = _key(parse_secret, about="API key for Temporal", in_file=True, example='"..."')
    key: Secret | None = _key(
        parse_keys,
        about="key that encrypts everything in Temporal and the spool, the same on all machines: 128 "
        "hex digits; or several, one a line, of which the first encrypts and all decrypt",
        in_file=True,
        example='"..."',
    )
    probes: str = _key(
        parse_host_port,
        "",
        about="address and port on which a worker answers `/livez`, `/readyz` and `/metrics` without a token",
        example='"0.0.0.0:8081"',
    )
    ui: str = _key(
        parse_web_address,
        "",
        about="address of Temporal's own web page, for links",
        example='"https://temporal.example"',
    )
