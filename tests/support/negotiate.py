"""The first two messages of an RDP connection, byte by byte, for what no well-behaved client would show."""

import socket
import ssl
import struct

TLS, NLA = 1, 2
CHOSEN, FAILED = 2, 3  # kinds of answer: RDP_NEG_RSP and RDP_NEG_FAILURE (MS-RDPBCGR 2.2.1.2)
SSL_REQUIRED_BY_SERVER, HYBRID_REQUIRED_BY_SERVER = 1, 5


def connect(address: str) -> socket.socket:
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=10)


def negotiate(connection: socket.socket, protocols: int) -> tuple[int, int]:
    """Sends an X.224 Connection Request with RDP_NEG_REQ. The kind and the value of the answer."""
    # TPKT header; X.224: length, CR, destination, source, class; RDP_NEG_REQ: type, flags, length, protocols
    connection.sendall(
        struct.pack(">BBHBBHHB", 3, 0, 19, 14, 0xE0, 0, 0, 0) + struct.pack("<BBHI", 1, 0, 8, protocols)
    )
    answer = b""
    while len(answer) < 19:
        more = connection.recv(19 - len(answer))
        assert more, f"the server hung up without an answer, after {answer.hex()}"
        answer += more
    assert answer[5] == 0xD0, f"not an X.224 Connection Confirm: {answer.hex()}"
    kind, _, _, value = struct.unpack("<BBHI", answer[11:])
    return kind, value


def certificate(address: str) -> bytes:
    """The certificate (DER) that RDP clients are shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with connect(address) as plain:
        assert negotiate(plain, TLS) == (CHOSEN, TLS)
        with context.wrap_socket(plain) as tls:
            return tls.getpeercert(binary_form=True)
