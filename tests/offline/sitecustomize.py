"""Network off: every Python process of the tests that tries to reach another machine fails at once.

Python imports this file at start when its folder is on PYTHONPATH, so it also holds in the kernels and
commands that the tests start. An audit hook sees each connection before it is made and cannot be removed.
"""

import sys

LOCAL = {"", "localhost", "ip6-localhost", "0.0.0.0", "::", "::1"}


def is_local(host: object) -> bool:
    """Whether a host (name or address, str or bytes) is this machine."""
    import socket

    name = host.decode() if isinstance(host, bytes) else host
    return (
        name is None
        or name in LOCAL
        or name.startswith(("127.", "::ffff:127."))
        or name == socket.gethostname()
    )


def refuse(event: str, arguments: tuple) -> None:
    """Raise ConnectionRefusedError for a connection or name look-up that leaves this machine."""
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # a path is a local socket
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    if not is_local(host):
        raise ConnectionRefusedError(f"the network is off in tests: {host!r}")


sys.addaudithook(refuse)
