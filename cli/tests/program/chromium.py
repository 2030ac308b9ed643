"""Opens a page in headless Chromium, evaluates JavaScript there, and prints the value as JSON.

Arguments: the URL, the pin of the server's key, and the JavaScript, whose value is awaited.
"""

import asyncio
import json
import re
import subprocess
import sys
import tempfile
import threading

import websockets

url, pin, script = sys.argv[1:4]


def start(profile):
    """Starts Chromium; returns it and the URL that takes commands."""
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += ["--no-first-run", "--remote-debugging-port=0", f"--user-data-dir={profile}"]
    command += [f"--ignore-certificate-errors-spki-list={pin}", "about:blank"]
    chromium = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    for line in chromium.stderr:
        if found := re.search(r"DevTools listening on (ws://\S+)", line):
            # A full pipe would block it.
            threading.Thread(target=chromium.stderr.read, daemon=True).start()
            return chromium, found[1]
    raise SystemExit(f"Chromium ended with {chromium.wait()} before it listened")


async def evaluate(commands):
    async with websockets.connect(commands, max_size=None, proxy=None) as socket:
        number = 0

        async def receive(wanted):
            while not wanted(message := json.loads(await socket.recv())):
                pass
            return message

        async def call(method, session=None, **params):
            nonlocal number
            number += 1
            message = {"id": number, "method": method, "params": params}
            await socket.send(json.dumps(message | ({"sessionId": session} if session else {})))
            answer = await receive(lambda message: message.get("id") == number)
            if "error" in answer:
                raise SystemExit(f"{method}: {answer}")
            return answer["result"]

        target = await call("Target.createTarget", url="about:blank")
        session = await call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        session = session["sessionId"]
        await call("Page.enable", session)
        page = await call("Page.navigate", session, url=url)
        if "errorText" in page:
            raise SystemExit(f"{url}: {page}")
        await receive(lambda message: message.get("method") == "Page.loadEventFired")
        expression = {"expression": script, "awaitPromise": True, "returnByValue": True}
        answer = await call("Runtime.evaluate", session, **expression)
        if "exceptionDetails" in answer:
            raise SystemExit(json.dumps(answer["exceptionDetails"]))
        return answer["result"]["value"]


with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
    chromium, commands = start(profile)
    try:
        print(json.dumps(asyncio.run(evaluate(commands))))
    finally:
        chromium.kill()
        chromium.wait()
