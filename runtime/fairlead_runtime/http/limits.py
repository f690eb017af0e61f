"""What a client may send and how long it may take: bounds of the HTTP edge."""

from __future__ import annotations

from dataclasses import dataclass

_LONGEST_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on one connection, and on all of a port together.

    Attributes:
        max_body_bytes: Largest request body.
        max_head_bytes: Largest request line and headers together; trailers count as well.
        max_url_bytes: Longest request target.
        max_headers: Most headers of a request.
        max_connections: Connections to the port; further ones are refused.
        max_held_bytes: Bytes of bodies that are being read, over all connections.
        max_pipelined: Requests read ahead of the one that is being answered.
        max_ahead_bytes: Bytes of bodies read ahead; of HTTP/2, bytes of answers that its client has
            not taken, beyond which no further request is begun.
        max_streams: Requests at the same time on a connection of HTTP/2.
        header_s: From a request's first byte to its last header.
        body_s: From there to the body's end, and a second more for each `body_rate` bytes.
        body_rate: Bytes a second that a slow sender must reach.
        write_s: How long a client may take nothing of its answer; see `taking.py`.
        write_rate: Bytes a second of an answer that a slow reader must take.
        keep_alive_s: How long a connection may be idle.
        linger_s: How long a client's last bytes are awaited after the last answer, so that the
            answer is not lost with a reset connection.
        half_closed_s: How long a client that has ended its sending side is still answered. It
            cannot be told from a client that has gone, whose work would be in vain.
    """

    max_body_bytes: int
    max_head_bytes: int = 64 << 10
    max_url_bytes: int = 8 << 10
    max_headers: int = 128
    max_connections: int = 4096
    max_held_bytes: int = 256 << 20
    max_pipelined: int = 16
    max_ahead_bytes: int = 1 << 20
    max_streams: int = 100
    header_s: float = 10.0
    body_s: float = 30.0
    body_rate: int = 16 << 10
    write_s: float = 30.0
    write_rate: int = 16 << 10
    keep_alive_s: float = 75.0
    linger_s: float = 2.0
    half_closed_s: float = 2.0

    @property
    def look_s(self) -> float:
        """How often to look whether one of the times is over."""
        shortest = min(
            self.header_s,
            self.body_s,
            self.write_s,
            self.keep_alive_s,
            self.linger_s,
            self.half_closed_s,
        )
        return min(_LONGEST_PAUSE_S, shortest / 4)
