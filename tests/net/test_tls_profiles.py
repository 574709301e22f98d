"""Which profile a TLS connection gets, and what is wrong with one is said before there is a connection."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from tests.tls_files import Authority

from kahea.net.address import Address
from kahea.net.tls_profiles import SUBDOMAINS, WITH_SUBDOMAINS, Profile, ProfileError, Profiles

HERE, THERE = Address.of("192.0.2.1", 5061), Address.of("192.0.2.2", 5061)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("certificates"))
    made.sign("own")
    return made


@pytest.fixture
def server(authority: Authority) -> Any:
    files = {"certificate": str(authority.folder / "own.pem"), "private_key": str(authority.folder / "own.key")}
    return lambda **more: Profile(server=True, **{"method": "TLSv1.2+"} | files | more)


def test_the_last_profile_that_fits_is_a_servers(server: Any) -> None:
    default = server(default=True)
    here = server(address=HERE, server_name="here")
    one, two = server(server_name="dup"), server(server_name="dup")
    wide = server(server_name="wide", server_name_mode=WITH_SUBDOMAINS)
    below = server(server_name="below", server_name_mode=SUBDOMAINS)
    profiles = Profiles([default, here, one, two, wide, below])
    for address, name, wanted in (
        (HERE, "", here), (HERE, "here", here), (HERE, "other", default), (HERE, "dup", two),
        (THERE, "", default), (THERE, "here", default), (THERE, "dup", two),
        (THERE, "wide", wide), (THERE, "a.wide", wide), (THERE, "awide", default),
        (THERE, "below", default), (THERE, "a.below", below),
    ):  # fmt: skip
        found = profiles.server(address, name)
        assert found is not None
        assert found[0] is wanted, (address, name)
    nameless = server(address=HERE)
    found = Profiles([default, one, nameless]).server(HERE, "dup")
    assert found is not None
    assert found[0] is nameless


def test_the_version_is_of_the_profile_that_a_session_begins_with(server: Any) -> None:
    named = server(server_name="old", method="TLSv1")
    found = Profiles([server(default=True, method="TLSv1.2"), named]).server(HERE, "old")
    assert found is not None
    assert found[0] is named
    assert found[1].maximum_version == ssl.TLSVersion.TLSv1_2


def test_a_clients_profile_is_found_by_id_or_name_or_peer() -> None:
    def client(**more: Any) -> Profile:
        return Profile(server=False, method="TLSv1.2+", **more)

    default = client(default=True)
    by_id, by_name = client(server_id="id", server_name="a"), client(server_name="b")
    there, both = client(address=THERE), client(address=HERE, server_name="c", server_id="c")
    profiles = Profiles([default, by_id, by_name, there, both])
    for peer, name, server_id, wanted in (
        (HERE, "", "", both), (HERE, "c", "", both), (HERE, "x", "", default), (HERE, "B", "", by_name),
        (HERE, "", "id", by_id), (HERE, "b", "id", by_name), (HERE, "", "unknown", both), (THERE, "", "c", both),
        (THERE, "", "", there), (THERE, "x", "", there), (THERE, "c", "", there), (THERE, "a", "", by_id),
    ):  # fmt: skip
        assert profiles.client(peer, name, server_id) is wanted, (peer, name, server_id)


def test_two_that_nothing_tells_apart_are_refused(server: Any) -> None:
    for twice in (server(default=True), server(address=HERE)):
        with pytest.raises(ProfileError, match="there is one already"):
            Profiles([twice, twice])


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"certificate": "/nowhere.pem"}, r"\[server:any\]: certificate /nowhere.pem: No such file"),
        ({"private_key": "/nowhere.key"}, "private_key /nowhere.key: No such file"),
        ({"certificate": ""}, "a server needs a certificate"),
        ({"certificate": "{text}"}, "certificate .*text with private_key .*own.key"),
        ({"private_key": "{other}"}, "key values mismatch"),
        ({"private_key": "{secret}"}, "the key is encrypted"),
        ({"ca_list": "/nowhere.pem"}, "ca_list /nowhere.pem: No such file"),
        ({"ca_list": "{text}"}, "ca_list .*text"),
        ({"crl": "{text}"}, "crl .*text"),
        ({"cipher_list": "nonsense"}, "cipher_list 'nonsense': No cipher can be selected"),
    ],
)
def test_what_is_wrong_is_said_at_once(server: Any, authority: Authority, fields: dict[str, str], says: str) -> None:
    folder: Path = authority.folder
    (folder / "text").write_text("no certificate")
    authority.sign("other")
    secret = serialization.BestAvailableEncryption(b"secret")
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "secret.key").write_bytes(authority.key.private_bytes(*pem, secret))
    paths = {"text": folder / "text", "other": folder / "other.key", "secret": folder / "secret.key"}
    with pytest.raises(ProfileError, match=says):
        server(**{key: value.format(**paths) for key, value in fields.items()})
