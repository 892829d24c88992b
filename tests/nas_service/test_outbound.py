"""Addresses that users name: public ones are asked, all others refused before connecting."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from nas_service.addresses import parse_networks, refusal, refusal_of_host
from nas_service.outbound import PublicOnly, Refused

LOOPBACK = parse_networks("127.0.0.1/32")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",  # metadata of AWS, Azure, GCP
        "100.64.0.1",  # shared by carriers; 100.100.100.200 is Alibaba's metadata
        "100.100.100.200",
        "0.0.0.0",  # noqa: S104  # nothing listens here
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",  # metadata of AWS
        "::ffff:169.254.169.254",
        "::ffff:10.0.0.1",
        "64:ff9b::a9fe:a9fe",  # 169.254.169.254 behind NAT64
        "2002:a9fe:a9fe::",  # and by 6to4
        "ff02::1",
    ],
)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    assert "no public address" in (refusal(address, ()) or "")


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses_are_not(address: str) -> None:
    assert refusal(address, ()) is None


def test_networks_that_the_operator_names_are_allowed() -> None:
    allowed = parse_networks("10.1.0.0/16, fd00::/8")
    assert refusal("10.1.2.3", allowed) is None
    assert refusal("::ffff:10.1.2.3", allowed) is None
    assert refusal("10.2.0.1", allowed) is not None
    assert refusal("fd12::1", allowed) is None


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "a.localhost", "[::1]", "127.0.0.1"])
def test_hosts_that_need_no_look_up_are_judged_at_once(host: str) -> None:
    assert refusal_of_host(host, ()) is not None
    assert refusal_of_host("hooks.example", ()) is None  # judged when it is looked up


class Listener:
    """A server on loopback that stands for one in a private network: it counts who comes."""

    def __init__(self) -> None:
        self.hosts: list[str] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the library's name
                listener.hosts.append(self.headers["Host"])
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.path == "/away":
                    self.send_response(307)
                    self.send_header("Location", f"http://169.254.169.254:{listener.port}/latest")
                else:
                    self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.stop()


def test_a_name_that_leads_to_this_machine_is_refused_before_connecting(
    listener: Listener,
) -> None:
    transport = PublicOnly(resolver=lambda _host, _port: ["127.0.0.1"])
    with httpx.Client(transport=transport) as client, pytest.raises(Refused, match="no public"):
        client.post(f"http://hooks.example:{listener.port}/x")
    assert listener.hosts == []


def test_one_private_answer_among_public_ones_is_enough(listener: Listener) -> None:
    transport = PublicOnly(resolver=lambda _host, _port: ["93.184.216.34", "127.0.0.1"])
    with httpx.Client(transport=transport) as client, pytest.raises(Refused):
        client.post(f"http://hooks.example:{listener.port}/x")
    assert listener.hosts == []


def test_what_was_judged_is_what_is_connected_to(listener: Listener) -> None:
    """A name that is looked up again would lead elsewhere by then: it is looked up once."""
    answers = iter(["127.0.0.1", "169.254.169.254"])
    transport = PublicOnly(LOOPBACK, resolver=lambda _host, _port: [next(answers)])
    with httpx.Client(transport=transport) as client:
        answer = client.post(f"http://hooks.example:{listener.port}/x")
        assert answer.status_code == 200
        assert listener.hosts == [f"hooks.example:{listener.port}"]  # the name, not the address
        with pytest.raises(Refused):
            client.post(f"http://hooks.example:{listener.port}/x")
    assert len(listener.hosts) == 1


def test_a_redirect_is_judged_like_an_address(listener: Listener) -> None:
    """Ours are not followed; a client that does follow them is refused the metadata address."""

    def resolver(host: str, _port: int) -> list[str]:
        return [host] if host[0].isdigit() else ["127.0.0.1"]

    transport = PublicOnly(LOOPBACK, resolver=resolver)
    with (
        httpx.Client(transport=transport, follow_redirects=True) as client,
        pytest.raises(Refused, match=r"169\.254\.169\.254"),
    ):
        client.post(f"http://hooks.example:{listener.port}/away")
    assert len(listener.hosts) == 1


def test_a_name_without_an_answer_is_a_connection_that_failed() -> None:
    def nobody(_host: str, _port: int) -> list[str]:
        raise socket.gaierror("no such name")

    for resolver in (nobody, lambda _host, _port: []):
        with (
            httpx.Client(transport=PublicOnly(resolver=resolver)) as client,
            pytest.raises(httpx.ConnectError),
        ):
            client.post("http://hooks.example/x")


def test_networks_are_read_or_refused() -> None:
    assert parse_networks("") == ()
    assert parse_networks("10.0.0.0/8") == (ipaddress.ip_network("10.0.0.0/8"),)
    with pytest.raises(ValueError, match="host bits"):
        parse_networks("10.0.0.1/8")
