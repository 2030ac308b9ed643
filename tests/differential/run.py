#!/usr/bin/env python3
"""Sends the raw bytes of net/tests/http_server/raw.txt to nginx and node, and writes what they
answer beside what heist does to docs/http-conformance.md.

usage: tests/differential/run.py [--heist HOST:PORT]

It needs nginx and node on the PATH. What heist answers is the table's, which the test `raw` of
heist-net holds it to; with --heist, a running server is asked as well, and differences are printed
(its service has to read each body and answer 200).
"""

import argparse
import concurrent.futures
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = ROOT / "net/tests/http_server/raw.txt"
PAGE = ROOT / "docs/http-conformance.md"

# How long a server may say nothing before it is taken to wait, in seconds.
QUIET = 0.7

NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 512; }}
http {{
  access_log off; client_max_body_size 1m; lingering_timeout 1s;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "ok"; }} }}
}}
"""


def cases():
    for paragraph in TABLE.read_text().split("\n\n"):
        if paragraph.startswith("#"):
            continue
        case = dict(re.split(": ?", line, maxsplit=1) for line in paragraph.strip().splitlines())
        case["bytes"] = unescaped(repeated(case["send"]))
        yield case


def repeated(text):
    return re.sub(r"\{(.*)\*(\d+)\}", lambda found: found[1] * int(found[2]), text)


def unescaped(text):
    named = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\"}

    def byte(found):
        word = found[0].decode()
        return named[word[1]] if word[1] in named else bytes([int(word[2:], 16)])

    return re.sub(rb"\\(?:[rnt\\]|x[0-9a-f]{2})", byte, text.encode())


def ask(address, case):
    """The codes of all answers, and whether the connection is open or closed behind them."""
    with socket.create_connection(address, timeout=QUIET) as connection:
        answered, state = b"", "close"
        try:
            connection.sendall(case["bytes"])
            if case.get("half") == "yes":
                connection.shutdown(socket.SHUT_WR)
            while True:
                got = connection.recv(1 << 16)
                if not got:
                    break
                answered += got
        except TimeoutError:
            state = "open"
        except OSError:
            state = "reset"
    codes = [code.decode() for code in re.findall(rb"HTTP/1\.[01] (\d{3})", answered)]
    if not codes and answered:
        codes = ["no status line"]
    return " ".join([*codes, state])


def nginx(folder):
    port = free_port()
    config = pathlib.Path(folder) / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port))
    server = subprocess.Popen(["nginx", "-c", str(config)], stderr=subprocess.DEVNULL)
    return server, ("127.0.0.1", port)


def node():
    script = pathlib.Path(__file__).with_name("node.js")
    server = subprocess.Popen(["node", str(script)], stdout=subprocess.PIPE, text=True)
    return server, ("127.0.0.1", int(server.stdout.readline()))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def wait_for(address):
    for _ in range(100):
        try:
            socket.create_connection(address).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nothing listens on {address}")


def ask_all(address, table):
    wait_for(address)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda case: ask(address, case), table))


def version(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return re.search(r"\d+[.\d]*\d", done.stdout + done.stderr)[0]


def shown(text, length=60):
    """`text` as code in a cell of a table."""
    text = text if len(text) <= length else text[:length] + "…"
    return "`` " + text.replace("|", "\\|") + " ``" if text else ""


def page(table, versions, columns):
    same = [sum(case["want"].replace("wait", "open") == answer
                for case, answer in zip(table, column)) for column in columns]
    lines = [
        "# What HTTP servers answer to raw bytes",
        "",
        "`tests/differential/run.py` writes this page from `net/tests/http_server/raw.txt`. The first",
        "column is what heist promises, and what a test holds it to; the others are what nginx "
        f"{versions[0]}",
        f"and node {versions[1]} answered when the page was written, with services that answer 200 to",
        "everything. nginx does not read bodies for that: it is often content where heist and node",
        "are not. `open` is a connection that is kept, for the next request or for the rest of this",
        "one. Where they differ, the section of the RFC decides.",
        "",
        f"Of {len(table)} inputs nginx answers {same[0]} as heist does, and node {same[1]}.",
        "",
        "| input | bytes | source | heist | nginx | node |",
        "|---|---|---|---|---|---|",
    ]
    for case, *answers in zip(table, *columns):
        want = case["want"].replace("wait", "open")
        cells = [answer if answer == want else f"**{answer}**" for answer in answers]
        row = [case["name"], shown(case["send"]), case["source"], want, *cells]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heist", metavar="HOST:PORT", help="a running server to ask as well")
    heist = parser.parse_args().heist
    table = list(cases())
    if heist:
        host, port = heist.rsplit(":", 1)
        for case, answer in zip(table, ask_all((host, int(port)), table)):
            if answer != case["want"].replace("wait", "open"):
                print(f"{case['name']}: {answer}, not {case['want']}")
    for program in ("nginx", "node"):
        if not shutil.which(program):
            sys.exit(f"{program} is not on the PATH")
    with tempfile.TemporaryDirectory() as folder:
        servers = [nginx(folder), node()]
        try:
            columns = [ask_all(address, table) for _, address in servers]
        finally:
            for server, _ in servers:
                server.terminate()
                server.wait()
    versions = version("nginx", "-v"), version("node", "--version")
    PAGE.write_text(page(table, versions, columns))


main()
