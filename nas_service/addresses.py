"""Network addresses: which are this machine's own, and which users may have the service call."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks joined by commas, as 10.1.0.0/16; raises `ValueError` for what is none."""
    return tuple(ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip())


def refusal(address: str, allowed: Sequence[Network]) -> str | None:
    """Why nothing may be sent there; None where it may."""
    found = _real(ipaddress.ip_address(address.partition("%")[0]))
    if any(found in one for one in allowed if one.version == found.version):
        return None
    if found.is_global and not found.is_multicast:
        return None
    return f"{address} is no public address; NAS_OUTBOUND_ALLOW names networks that are allowed"


def refusal_of_host(host: str, allowed: Sequence[Network]) -> str | None:
    """The same for a host that can be judged without looking it up; None where it cannot."""
    if host.rstrip(".").lower() == "localhost" or host.lower().endswith(".localhost"):
        return refusal("127.0.0.1", allowed)
    try:
        return refusal(host.strip("[]"), allowed)
    except ValueError:
        pass
    try:  # other ways to write IPv4, as systems read them: 127.1, 0x7f000001, 2130706433
        return refusal(socket.inet_ntoa(socket.inet_aton(host)), allowed)
    except (OSError, UnicodeEncodeError):
        return None


def _real(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_safe(address: str) -> bool:
    """Whether nobody between can listen: an https address, or one of this machine."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    )
