from __future__ import annotations

import base64
import json

import pytest

from tests.registry.fake_http import OURS, PASSWORD, secret
from webhook.registry.credentials import (
    Credential,
    CredentialStore,
    HelperLogin,
    InvalidCredentialsError,
    normalize_host,
    parse_credentials,
)


def files(*contents, **options):
    contents = dict(enumerate(contents))
    options = {"read": lambda path: contents[path], "clock": lambda: 0.0} | options
    return CredentialStore(contents, report=lambda _: None, **options)


@pytest.mark.parametrize(
    ("place", "host", "repository", "fits"),
    [
        ("m.example", "m.example", "a", True),
        ("m.example", "m.example:443", "a", True),
        ("m.example", "m.example:5000", "a", False),
        ("m.example", "x.m.example", "a", False),
        ("m.example", "m.example.org", "a", False),
        ("m.example:5000", "m.example:5000", "a", True),
        ("https://m.example", "m.example", "a", True),
        ("https://m.example/v2/", "m.example", "v2/a", True),
        ("https://index.docker.io/v1/", "docker.io", "library/nginx", True),
        ("https://index.docker.io/v1/", "registry-1.docker.io", "library/nginx", True),
        ("docker.io", "docker.io", "a/b", True),
        ("*.azurecr.io", "shop.azurecr.io", "a", True),
        ("*.azurecr.io", "a.b.azurecr.io", "a", False),
        ("*.azurecr.io", "azurecr.io", "a", False),
        ("m.example/team", "m.example", "team/app", True),
        ("m.example/team", "m.example", "team", True),
        ("m.example/team", "m.example", "teams/app", False),
    ],
)
def test_entry_matches_images_as_in_kubelet(place, host, repository, fits):
    found = files(secret((place, "u", "p"))).find(host, repository)

    assert (found is not None) is fits


def test_entry_with_longest_path_wins():
    store = files(
        secret(("m.example", "all", "p"), ("m.example/a/b", "most", "p")),
        secret(("m.example/a", "some", "p")),
    )

    users = [store.find("m.example", name).user for name in ("a/b/c", "a/c", "c")]

    assert users == ["most", "some", "all"]


def test_auth_field_is_read():
    auth = base64.b64encode(b"robot:a:b").decode()

    content = json.dumps({"auths": {"a.io": {"auth": auth}}}).encode()
    (found,) = parse_credentials(content).credentials

    assert (found.user, found.password) == ("robot", "a:b")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"auths": []}',
        b'{"auths": null}',
        b'{"credHelpers": []}',
        b'{"credHelpers": {"a.io": 1}}',
        b'{"credHelpers": {"a.io": "../bin/sh"}}',
        b'{"credsStore": "-x"}',
        b'{"credsStore": "a b"}',
        b'{"credsStore": "a\\n"}',
        b'{"credsStore": "a/b"}',
        b'{"credsStore": "\xc3\xa9"}',
        b'{"credsStore": {}, "auths": []}',
        b"[" * 100_000,
    ],
)
def test_other_files_are_refused(content):
    with pytest.raises(InvalidCredentialsError):
        parse_credentials(content)


@pytest.mark.parametrize("entry", [{}, [], None, {"auth": "%"}, {"auth": "YWJj"}, {"auth": 1}])
def test_entry_without_password_is_left_out(entry):
    found = parse_credentials(json.dumps({"auths": {"a.io": entry}}).encode())

    assert (found.credentials, found.stored) == ((), {"a.io"})


def test_tokens_are_read_as_docker_writes_them():
    nobody = base64.b64encode(b"00000000-0000-0000-0000-000000000000:").decode()
    auths = {
        "a.azurecr.io": {"auth": nobody, "identitytoken": "refresh"},
        "b.io": {"registrytoken": "bearer"},
    }

    first, second = parse_credentials(json.dumps({"auths": auths}).encode()).credentials

    assert (first.refresh_token, second.registry_token) == ("refresh", "bearer")
    assert "refresh" not in repr(first)
    assert "bearer" not in repr(second)


CLOUD = {
    "auths": {"stored.io": {}, "https://index.docker.io/v1/": {}, "ours.io": {"auth": "dTpw"}},
    "credHelpers": {"1.dkr.ecr.eu-west-1.amazonaws.com": "ecr-login", "m.io:5000": "x", "n.io": ""},
    "credsStore": "desktop",
}


@pytest.mark.parametrize(
    ("host", "is_named", "login"),
    [
        ("1.dkr.ecr.eu-west-1.amazonaws.com", True, ("ecr-login", None)),
        ("1.dkr.ecr.eu-west-1.amazonaws.com:443", False, ("ecr-login", None)),
        ("M.io:5000", True, ("x", "m.io:5000")),
        ("m.io", True, ("desktop", "m.io")),
        ("n.io", True, ("desktop", "n.io")),
        ("stored.io", False, ("desktop", "stored.io")),
        ("other.io", False, None),
        ("docker.io", False, ("desktop", "https://index.docker.io/v1/")),
        ("registry-1.docker.io", True, ("desktop", "https://index.docker.io/v1/")),
    ],
)
def test_helper_is_found_as_in_docker(host, is_named, login):
    found = files(json.dumps(CLOUD).encode()).find(host, "a", is_named=is_named)

    if login is None:
        assert found is None
    else:
        name, server = login
        assert found == HelperLogin(name, server or "1.dkr.ecr.eu-west-1.amazonaws.com")
        assert found.program == f"docker-credential-{name}"


def test_password_of_the_file_comes_before_the_helper_for_all_registries():
    assert files(json.dumps(CLOUD).encode()).find("ours.io", "a").user == "u"
    both = {**CLOUD, "credHelpers": {"ours.io": "x"}}
    assert files(json.dumps(both).encode()).find("ours.io", "a") == HelperLogin("x", "ours.io")


def test_changed_file_is_reread_and_wrong_one_keeps_last_credentials():
    now, content, told = [0.0], [OURS], []

    def read(_path):
        if content[0] is None:
            raise FileNotFoundError(2, "No such file or directory")
        return content[0]

    store = CredentialStore(["x"], read=read, clock=lambda: now[0], report=told.append)

    def password():
        now[0] += 11
        found = store.find("m.example", "a")
        return found and found.password

    assert password() == PASSWORD
    content[0] = secret(("m.example", "robot", "new"))
    assert password() == "new"
    content[0] = None
    assert password() == password() == "new"
    content[0] = b"new: not json"
    assert password() == password() == "new"
    assert told == [
        "credentials file x: it cannot be read: No such file or directory",
        "credentials file x: it is not JSON",
    ]


def test_credential_repr_has_no_password():
    assert "p4ss" not in repr(Credential("a.io", "", "robot", "p4ss"))


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("A.example", "a.example"),
        ("a.example:443", "a.example"),
        ("a.example:80", "a.example"),
        ("a.example:8443", "a.example:8443"),
        ("index.docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
    ],
)
def test_host_is_normalized(host, name):
    assert normalize_host(host) == name
