"""Between a client and an S3-compatible server: counts the requests, and answers by a plan instead of the server.

It passes on what it gets as it is, `Host` included: requests are signed with it.
"""

import http.client
import random
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NEWEST_HIDDEN_S = 2


def error(status, code, message="As the proxy has it."):
    return status, f"<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"


FAULTS = {
    "500": error(500, "InternalError"),
    "503": error(503, "SlowDown"),
    "429": error(429, "TooManyRequests"),
    "403 skewed clock": error(403, "RequestTimeTooSkewed"),
    "404": (404, "404 page not found"),
    "409": error(409, "ConditionalRequestConflict"),
    "412": error(412, "PreconditionFailed"),
    "507 full disk": error(507, "XMinioStorageFull"),
    "403 read-only key": error(403, "AccessDenied"),
    "404 no bucket": error(404, "NoSuchBucket"),
}


class Proxy:
    """Listens at `url`; `plan` says what happens to requests."""

    def __init__(self, server, seed):
        self.server, self.dice = server, random.Random(seed)
        self.lock = threading.Lock()
        self.clear()
        # By method, as the server's bill has them.
        self.counts, self.refused = {}, {}
        # Objects of a journal that were made: a run that made one has begun.
        self.journaled = 0
        # When each key was last written.
        self.written = {}
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_all(self):
                proxy.handle(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_all

            def log_message(self, *_):
                pass

        class Listener(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a client that was killed

        self.listener = Listener(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.listener.server_address[1]}"
        threading.Thread(target=self.listener.serve_forever, daemon=True).start()

    def clear(self):
        """Everything goes through."""
        self.plan(None)

    def plan(self, fault, permille=1000, methods=("GET", "PUT", "DELETE"), pause_s=0.0, hides=False):
        """So many of these requests get this answer; they all take so much longer."""
        with self.lock:
            self.fault, self.permille, self.methods = fault, permille, methods
            self.pause_s, self.hides = pause_s, hides

    def count(self, kind):
        with self.lock:
            self.counts[kind] = self.counts.get(kind, 0) + 1

    def handle(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        lists = "list-type=2" in request.path
        self.count("LIST" if lists else request.command)
        with self.lock:
            fault, pause_s, hides = self.fault, self.pause_s, self.hides
            struck = fault and request.command in self.methods and self.dice.randrange(1000) < self.permille
            if fault == "412" and not (request.command == "PUT" and request.headers.get("If-None-Match")):
                struck = False
            loses, key = self.dice.random() < 0.3, request.path.split("?")[0]
            if struck:
                self.refused[fault] = self.refused.get(fault, 0) + 1
        if pause_s:
            time.sleep(self.dice.random() * 2 * pause_s)
        # Of passing failures some come after the server did what was asked.
        if struck and (fault not in ("500", "503") or not loses):
            return self.answer(request, *FAULTS[fault])
        status, headers, answered = self.forward(request, body)
        if request.command == "PUT" and status == 200:
            with self.lock:
                self.written[key] = time.monotonic()
                self.journaled += "/journal/" in key
        if struck:
            return self.answer(request, *FAULTS[fault])
        if lists and hides and status == 200:
            answered = self.without_the_newest(key, answered)
        self.answer(request, status, answered, headers)

    def forward(self, request, body):
        host, port = self.server.removeprefix("http://").split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        try:
            connection.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name.lower() not in ("connection",):
                    connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            kept = [(name, value) for name, value in response.getheaders()
                    if name.lower() not in ("content-length", "connection", "transfer-encoding")]
            return response.status, kept, response.read()
        except OSError as why:
            return 502, [], str(why).encode()
        finally:
            connection.close()

    def without_the_newest(self, bucket, listed):
        """A list that does not show yet what was written within two seconds."""
        now, text = time.monotonic(), listed.decode()

        def shown(found):
            key = f"{bucket.rstrip('/')}/{re.search('<Key>(.*?)</Key>', found[0])[1]}"
            return "" if now - self.written.get(key, 0) < NEWEST_HIDDEN_S else found[0]

        with self.lock:
            return re.sub("<Contents>.*?</Contents>", shown, text, flags=re.S).encode()

    def answer(self, request, status, body, headers=()):
        body = body.encode() if isinstance(body, str) else body
        request.send_response_only(status)
        for name, value in headers:
            request.send_header(name, value)
        if not (status == 204 and not body):
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)
