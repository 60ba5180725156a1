"""A real Chromium, by WebDriver (chromedriver) and nothing else: what a page says, shows and writes to its console."""
import base64
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request

# Long enough for a busy machine: nothing waits for it that goes well.
PATIENCE_S = 60
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """One window. `with Browser() as browser:` ends it."""

    def __init__(self):
        driver, chromium = shutil.which("chromedriver"), shutil.which("chromium") or shutil.which("google-chrome")
        if not driver or not chromium:
            raise SystemExit("== chromium and chromedriver are missing: install chromium and chromium-driver")
        self.process = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.process.stdout:
            if "on port" in line and "success" in line:
                self.at = "http://127.0.0.1:" + line.rsplit("port", 1)[1].strip(" .\n")
                break
        else:
            raise SystemExit("== chromedriver did not start")
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--disable-background-networking", "--hide-scrollbars"]
        wanted = {"browserName": "chrome", "goog:chromeOptions": {"binary": chromium, "args": arguments},
                  "goog:loggingPrefs": {"browser": "ALL"}}
        answer = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.at += f"/session/{answer['sessionId']}"
        self._ask("POST", "/timeouts", {"script": PATIENCE_S * 1000, "pageLoad": PATIENCE_S * 1000})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self._ask("DELETE", "", None)
        finally:
            self.process.terminate()
            self.process.wait()

    def _ask(self, method, path, body):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.at + path, data, {"content-type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=2 * PATIENCE_S) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"].splitlines()[0]) from None

    def cdp(self, command, **parameters):
        """A command of the DevTools: media, sizes, pictures."""
        return self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, address):
        self._ask("POST", "/url", {"url": address})

    def run(self, script, *arguments):
        """What a script returns; `arguments[0]` is the first argument."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script, *arguments, what, patience_s=PATIENCE_S):
        """Waits until a script returns something that holds, and returns it."""
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            found = self.run(script, *arguments)
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError(f"the page does not show within {patience_s} s: {what}")

    def press(self, key):
        """A key, as a keyboard sends it: a letter, or the WebDriver code of a named one."""
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def click(self, selector):
        found = self._ask("POST", "/element", {"using": "css selector", "value": selector})
        self._ask("POST", f"/element/{found[ELEMENT]}/click", {})

    def console(self):
        """What was written to the console since the last time: all of it, errors of the network and the policy too."""
        return [f"{line['level']}: {line['message']}" for line in self._ask("POST", "/se/log", {"type": "browser"})]

    def look(self, scheme, motion="no-preference"):
        self.cdp("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": motion}])

    def size(self, width, height=900):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)

    def picture(self, path, whole=True):
        """The page as PNG, all of its height or what is in the window."""
        clip = {}
        if whole:
            height, width = self.run("return [document.documentElement.scrollHeight, innerWidth]")
            clip = {"clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}, "captureBeyondViewport": True}
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.cdp("Page.captureScreenshot", format="png", **clip)["data"]))

    def axe(self, script):
        """What axe-core finds: a list of rules with the elements that break them."""
        self.run(script)
        found = self._ask("POST", "/execute/async", {"args": [], "script":
            "const done = arguments[0]; axe.run(document, { resultTypes: ['violations'] }).then(done, (error) => done({ error: String(error) }))"})
        assert "error" not in found, found["error"]
        return [f"{rule['id']}: {node['target']} {node.get('failureSummary', '')}" for rule in found["violations"] for node in rule["nodes"]]
