"""Where the partitions of topics end, asked of the brokers themselves: nothing but Python's own library, no client
that the program under test also uses. Plain text only, as scripts/stack listens."""

import socket
import struct


def ends(brokers, topics):
    """{(topic, partition): the offset that the next record gets}"""
    known, leaders = {}, {}
    reader = _ask(_address(brokers), 3, 1, _array([_text(topic) for topic in topics]))
    for _ in range(reader.number("i")):
        node, host, port = reader.number("i"), reader.text(), reader.number("i")
        reader.text()
        known[node] = (host, port)
    reader.number("i")
    for _ in range(reader.number("i")):
        error, topic, _internal = reader.number("h"), reader.text(), reader.number("b")
        _check(error, topic)
        for _ in range(reader.number("i")):
            error, partition, leader = reader.number("h"), reader.number("i"), reader.number("i")
            _check(error, f"{topic}/{partition}")
            leaders.setdefault(leader, {}).setdefault(topic, []).append(partition)
            for _ in range(2):
                reader.skip(4 * reader.number("i"))
    found = {}
    for leader, of in leaders.items():
        # -1 is the instant after the last record.
        parts = [_text(topic) + _array([struct.pack(">iq", one, -1) for one in ones]) for topic, ones in of.items()]
        reader = _ask(known[leader], 2, 1, struct.pack(">i", -1) + _array(parts))
        for _ in range(reader.number("i")):
            topic = reader.text()
            for _ in range(reader.number("i")):
                partition, error = reader.number("i"), reader.number("h")
                _check(error, f"{topic}/{partition}")
                reader.number("q")
                found[topic, partition] = reader.number("q")
    return found


def _address(brokers):
    host, _, port = brokers.split(",")[0].strip().rpartition(":")
    return host, int(port)


def _check(error, what):
    if error:
        raise OSError(f"Kafka answers error {error} for {what}")


def _text(text):
    return struct.pack(">h", len(text.encode())) + text.encode()


def _array(parts):
    return struct.pack(">i", len(parts)) + b"".join(parts)


def _ask(address, api, version, body):
    request = struct.pack(">hhi", api, version, 7) + _text("crash-test") + body
    with socket.create_connection(address, timeout=10) as connection, connection.makefile("rb") as answer:
        connection.sendall(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", answer.read(4))
        reader = _Reader(answer.read(size))
    reader.number("i")
    return reader


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, kind):
        (value,) = struct.unpack_from(f">{kind}", self.data, self.at)
        self.at += struct.calcsize(f">{kind}")
        return value

    def text(self):
        size = self.number("h")
        if size < 0:
            return None
        self.skip(size)
        return self.data[self.at - size : self.at].decode()

    def skip(self, size):
        self.at += size
