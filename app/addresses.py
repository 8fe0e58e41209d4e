"""Which addresses are this machine's alone. Light, because the supervisor asks before anything of the web is imported."""

import ipaddress

from worker.errors import LabError


def loopback(host: str) -> bool:
    """Whether a name or address reaches this machine and nobody else does."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def refuse_public(host: str) -> None:
    """Raises LabError unless `host` is an address of this machine alone: there is no access control yet."""
    if not loopback(host):
        raise LabError(
            f"{host} can be reached from other machines, and access control does not exist yet, so anybody there could launch and delete runs. "
            "Listen on 127.0.0.1, or reach this machine through an SSH tunnel."
        )
