"""Connections by name: the parameter `httpcon`, and the file that `config_file` names."""

from __future__ import annotations

import configparser
import logging
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from kahea.connectors.http_options import Options, auth_methods, tls_version
from kahea.routing.module import ConfigError

log = logging.getLogger("kahea.http")

_DEFINITION: Final = re.compile(r"\s*([^\s=>]+)\s*=>\s*(.*)", re.DOTALL)
_URL: Final = re.compile(r"(https?)://(?:([^@/]*)@)?(.+)", re.IGNORECASE | re.DOTALL)
_YES: Final = {"yes": 1, "true": 1, "on": 1, "no": 0, "false": 0, "off": 0}


@dataclass(frozen=True, slots=True)
class Connection:
    """Where `http_connect()` asks, and how. `uri` is the URL without its scheme and credentials."""

    name: str
    scheme: str
    uri: str
    options: Options
    failover: str = ""

    def url(self, path: str) -> str:
        """The URL for a path, which is put behind the connection's own with a slash between."""
        slash = "" if not path or path.startswith("/") else "/"
        return f"{self.scheme}://{self.uri}{slash}{path}"


def from_definition(text: str, defaults: Options) -> Connection:
    """A connection from the text of `httpcon`, `name=>url;parameter=value;...`. Raises ValueError."""
    found = _DEFINITION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no connection: name=>url;parameter=value")
    url, *parameters = found[2].strip().split(";")
    given: dict[str, str] = {}
    for parameter in parameters:
        if parameter.strip():
            key, equals, value = parameter.partition("=")
            if not equals:
                raise ValueError(f"connection {found[1]}: {parameter!r} is no parameter=value")
            given[key.strip().lower()] = value.strip()
    return _connection(found[1], url, given, defaults)


def from_file(path: Path, defaults: Options) -> list[Connection]:
    """The connections of a file with a section for each. Raises ConfigError."""
    parser = configparser.RawConfigParser(strict=True, delimiters=("=",), comment_prefixes=("#",))
    try:
        parser.read_string(path.read_text(), str(path))
        found = []
        for name in parser.sections():
            given = {key: _unquoted(value) for key, value in parser.items(name)}
            url = given.pop("url", "")
            if not url:
                raise ValueError(f"connection {name} has no url")
            found.append(_connection(name, url, given, defaults))
    except (OSError, UnicodeDecodeError, configparser.Error, ValueError) as error:
        raise ConfigError(f"parameter http_client.config_file: {path}: {error}") from error
    return found


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] == '"' else value


def _number(name: str, key: str, value: str) -> int:
    number = _YES.get(value.lower())
    if number is None:
        try:
            number = int(value)
        except ValueError:
            raise ValueError(f"connection {name}: {key} takes a number, not {value!r}") from None
    return number


def _connection(name: str, url: str, given: dict[str, str], defaults: Options) -> Connection:
    found = _URL.fullmatch(url.strip())
    if found is None:
        raise ValueError(f"connection {name}: {url!r} is no URL of HTTP")
    options: dict[str, Any] = {}
    tls: dict[str, Any] = {}
    failover = proxy = port = ""
    if found[2] is not None:
        user, _, password = found[2].partition(":")
        options |= {"user": unquote(user), "password": unquote(password)}
    for key, value in given.items():
        match key:
            case "useragent":
                options["user_agent"] = value
            case "timeout":
                options["timeout"] = float(_number(name, key, value)) or defaults.timeout
            case "maxdatasize":
                options["max_size"] = _number(name, key, value)
            case "httpredirect" | "http_follow_redirect":
                options["redirects"] = _number(name, key, value) != 0
            case "username":
                options["user"] = value
            case "password":
                options["password"] = value
            case "authmethod":
                options["auth"] = auth_methods(_number(name, key, value))
            case "keep_connections":
                options["keep"] = _number(name, key, value) != 0
            case "failover":
                failover = value
            case "httpproxy":
                proxy = value
            case "httpproxyport":
                port = value
            case "verify_peer" | "verify_host":
                tls[key] = _number(name, key, value) != 0
            case "client_cert" | "client_key":
                tls[key] = value
            case "cacert":
                tls["ca_file"] = value
            case "cipher_suites":
                tls["ciphers"] = value
            case "tlsversion":
                tls["version"] = tls_version(value)
            case _:
                # Kamailio goes on, too.
                log.error("connection %s: there is no parameter %r", name, key)
    if proxy or port:
        # A port of 0 is the way to do without the proxy that others have.
        options["proxy"] = proxy_url(proxy, int(port or 0)) if port != "0" else ""
    options["tls"] = replace(defaults.tls, **tls)
    return Connection(name, found[1].lower(), found[3], replace(defaults, **options), failover)


def proxy_url(host: str, port: int) -> str:
    """The URL of a proxy from `httpproxy` and `httpproxyport`; "" for none."""
    if not host:
        return ""
    url = host if "://" in host else f"http://{host}"
    return f"{url}:{port}" if port and not re.search(r":\d+/?$", url) else url
