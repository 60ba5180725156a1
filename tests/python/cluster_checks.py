"""What `check` says of what is wrong with a cluster behind TLS, SASL and ACLs, and with a registry behind TLS: see
scripts/cluster-chaos."""

import base64
import http.server
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

from cluster import BROKERS, FIRST, FOLDER, PROGRAM, REGISTRY, SETTINGS, Failed, admin, await_that, grant, is_healthy

PUBLISH = f'[publish]\nprefix = "{grant.PREFIX}"\n'
USER = base64.b64encode(b"shop:a registry's password").decode()


class Registry(http.server.BaseHTTPRequestHandler):
    """The registry, for a client that knows the password."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.headers.get("Authorization") != f"Basic {USER}":
            return self.answer(401, b"<html>who are you?</html>")
        with urllib.request.urlopen(REGISTRY.removesuffix("/apis/ccompat/v7") + self.path, timeout=20) as found:
            return self.answer(found.status, found.read())


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """Who does not trust it hangs up."""


def behind_tls():
    server = Server(("127.0.0.1", 0), Registry)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{FOLDER}/pki/broker.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"https://127.0.0.1:{server.server_port}/apis/ccompat/v7"


def by_token(user, for_s):
    """Settings with a token in place of the password: a JSON Web Token that nobody signed."""
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
    now = int(time.time())
    path = f"{FOLDER}/{user}.token"
    with open(path, "w") as file:
        file.write(f"{part({'alg': 'none'})}.{part({'sub': user, 'iat': now - 600, 'exp': now + for_s})}.")
    settings = SETTINGS.replace('"SCRAM-SHA-512"', '"OAUTHBEARER"').replace('"sasl.username" = "shop"\n', "")
    return settings.replace(f'"sasl.password" = "file:{FOLDER}/shop.password"', f'"sasl.oauthbearer.token" = "file:{path}"')


def check(settings):
    """Exit code, and what was said."""
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/deltamart.toml", "w") as file:
            file.write(settings)
        environment = {**os.environ, "REGISTRY_PASSWORD": "a registry's password", "WRONG": "wrong"}
        done = subprocess.run([PROGRAM, "check"], cwd=folder, capture_output=True, text=True, env=environment, timeout=120)
        return done.returncode, done.stdout + done.stderr


def expect(name, settings, code, *said):
    found, text = check(settings)
    missing = [what for what in said if what not in text]
    if found != code or missing:
        print(f"== {name}: exit code {found}, expected {code}; not said: {missing}\n{text[-3000:]}", file=sys.stderr)
        return False
    print(f"{name}: {next((line for line in reversed(text.splitlines()) if said and said[0] in line), '').strip()[:300]}")
    return True


def without(right, name, code, *said):
    """Takes a right away, looks, and gives it back."""
    client = admin()
    grant.revoke(client, [right])
    try:
        return expect(name, SETTINGS + PUBLISH, code, *said)
    finally:
        grant.grant(client, [right])


def main():
    await_that("the cluster is whole", is_healthy)
    ca, password = f"{FOLDER}/pki/ca.pem", f"file:{FOLDER}/shop.password"
    https = behind_tls()
    registry = f'url = "{https}"\nusername = "shop"\npassword = "env:REGISTRY_PASSWORD"\nca = "{ca}"'
    tls = SETTINGS.replace(f'url = "{REGISTRY}"', registry)
    shop = [PROGRAM, "simulate", "--config", f"{FOLDER}/deltamart.toml", "--events", "2000", "--rate", "0"]
    subprocess.run(shop, check=True, capture_output=True)
    topic = "sign_in_topic"
    done = [
        expect("all is well", tls + PUBLISH, 0, "the configuration is good", "publish: this user may"),
        expect("wrong password", SETTINGS.replace(password, "env:WRONG"), 1, "authentication failed"),
        expect("wrong authority", SETTINGS.replace(ca, f"{FOLDER}/pki/another-ca.pem"), 1, "its certificate is not accepted"),
        expect("no such file", SETTINGS.replace(ca, "/nowhere/ca.pem"), 2, "`ssl.ca.location`", "/nowhere/ca.pem"),
        expect("expired certificate", SETTINGS.replace(BROKERS, f"127.0.0.1:{FIRST + 6}"), 1, "its certificate is not accepted"),
        expect("another host", SETTINGS.replace(BROKERS, f"127.0.0.1:{FIRST + 7}"), 1, "its certificate is not accepted"),
        expect("registry: wrong authority", tls.replace(f'ca = "{ca}"', f'ca = "{FOLDER}/pki/another-ca.pem"'), 1, https, "certificate"),
        expect("registry: no such file", tls.replace(f'ca = "{ca}"', 'ca = "/nowhere/ca.pem"'), 2, "`registry.ca`", "/nowhere/ca.pem"),
        expect("registry: no certificate", tls.replace(f'ca = "{ca}"', f'ca = "{FOLDER}/ports"'), 2, "`registry.ca`", "no certificate"),
        expect("registry: wrong password", tls.replace("env:REGISTRY_PASSWORD", "env:WRONG"), 1, "status 401", "registry.password"),
        expect("a token", by_token("shop", 3600), 0, "the configuration is good"),
        expect("a token that is over", by_token("shop", -60), 1, "expired"),
        expect("a token of somebody else", by_token("somebody", 3600), 2, "may not be read by this user"),
        without(f"read {topic}", "may not read a topic", 2, f"may not read `{topic}`:", "grant READ"),
        without(f"describe {topic}", "may not ask for its settings", 0, f"`{topic}` is compacted", "DESCRIBE_CONFIGS"),
        without("group", "may not use the group", 0, "the group `shop`", "grant READ"),
        without("transactions", "may not use the transactional id", 1, f"`deltamart-{grant.PREFIX}`"),
        without(f"create {grant.PREFIX}", "may not make topics", 1, f"`{grant.PREFIX}", "grant CREATE"),
    ]
    # Once they are there, they are read and written.
    run = [PROGRAM, "run", "--to-end", "--config", f"{FOLDER}/deltamart.toml", "--set", f"publish.prefix={grant.PREFIX}"]
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/by_token.toml", "w") as file:
            file.write(by_token("shop", 3600))
        read = [PROGRAM, "run", "--to-end", "--config", "by_token.toml"]
        by_a_token = subprocess.run(read, cwd=folder, capture_output=True, text=True)
    if by_a_token.returncode != 0 or "records in" not in by_a_token.stdout:
        raise Failed(f"it did not run by a token: {by_a_token.stdout[-1500:]}{by_a_token.stderr[-1500:]}")
    print(f"run by a token: {by_a_token.stdout.splitlines()[0]}")
    with tempfile.TemporaryDirectory() as folder:
        published = subprocess.run(run, cwd=folder, capture_output=True, text=True)
    if published.returncode != 0:
        raise Failed(f"it did not run: {published.stderr[-3000:]}")
    done += [
        without(f"write {grant.PREFIX}", "may not write topics", 1, f"`{grant.PREFIX}users`", "grant WRITE"),
        without(f"read {grant.PREFIX}", "may not read its progress", 1, f"`{grant.PREFIX}_progress`", "grant READ"),
    ]
    print(f"{sum(done)} of {len(done)} checks")
    if not all(done):
        raise Failed("not everything was said as it should be")


try:
    main()
except (Failed, urllib.error.URLError) as why:
    print(f"== {why}", file=sys.stderr)
    sys.exit(1)
