"""Calls a server of tonic by grpcio, without protoc: messages are bytes. Prints `ok` at the end.

Usage: calls.py CASE ADDRESS [CERTIFICATE]; lines on standard input let some cases go on.
"""

import concurrent.futures
import sys
import threading

import grpc

case, address, *certificate = sys.argv[1:]
options = [("grpc.enable_retries", 0)]
if case == "pings":
    options += [
        ("grpc.keepalive_time_ms", 1),
        ("grpc.keepalive_timeout_ms", 60_000),
        ("grpc.http2.max_pings_without_data", 0),
    ]
if certificate:
    with open(certificate[0], "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    channel = grpc.secure_channel(address, credentials, options)
else:
    channel = grpc.insecure_channel(address, options)

ECHO = "/test.Echo/"
unary = channel.unary_unary(ECHO + "Unary")
client_streaming = channel.stream_unary(ECHO + "Join")
server_streaming = channel.unary_stream(ECHO + "Split")
streaming = channel.stream_stream(ECHO + "Chat")
endless = channel.unary_stream(ECHO + "Endless")
GUARD = 60


def tell(line):
    print(line, flush=True)


def kinds():
    response, call = unary.with_call(b"hello", timeout=GUARD, metadata=[("x-in", "in")])
    assert response == b"hello", response
    assert ("x-out", "in") in call.initial_metadata(), call.initial_metadata()
    assert client_streaming(iter([b"a", b"b", b"c"]), timeout=GUARD) == b"abc"
    assert list(server_streaming(b"abc", timeout=GUARD)) == [b"a", b"b", b"c"]
    assert list(streaming(iter([b"1", b"2"]), timeout=GUARD)) == [b"1", b"2"]
    # The answer to each message comes before the next one is sent.
    gate = threading.Semaphore(1)

    def messages():
        for number in range(100):
            assert gate.acquire(timeout=GUARD)
            yield b"%d" % number

    answers = []
    for answer in streaming(messages(), timeout=GUARD):
        answers.append(answer)
        gate.release()
    assert answers == [b"%d" % number for number in range(100)], answers
    large = bytes(range(256)) * (3 << 12)
    assert unary(large, timeout=GUARD) == large
    health = channel.unary_unary("/grpc.health.v1.Health/Check")
    assert health(b"", timeout=GUARD) == b"\x08\x01"


def errors():
    for message, code, details in [
        (b"missing", grpc.StatusCode.NOT_FOUND, "there is none: \u00e4%"),
        (b"x" * 5_000_000, grpc.StatusCode.OUT_OF_RANGE, None),
    ]:
        try:
            unary(message, timeout=GUARD)
            raise AssertionError("it was answered")
        except grpc.RpcError as error:
            assert error.code() == code, error
            assert details is None or error.details() == details, error
    for method in [ECHO + "Other", "/other.Service/Method"]:
        try:
            channel.unary_unary(method)(b"", timeout=GUARD)
            raise AssertionError("it was answered")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error


def cancel():
    call = endless(b"")
    next(call)
    tell("began")
    call.cancel()
    # The same connection is used on.
    assert unary(b"hello", timeout=GUARD) == b"hello"
    sys.stdin.readline()


def deadline():
    began = False
    seconds = 0.1
    # On a busy machine a call may not have reached the server at its deadline.
    while not began:
        seconds *= 2
        try:
            for _ in endless(b"", timeout=seconds):
                began = True
            raise AssertionError("it ended")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
    tell("began")
    sys.stdin.readline()


def pings():
    """A call that is quiet but for PINGs, until a line comes."""
    told = threading.Semaphore(0)

    def messages():
        yield b"first"
        assert told.acquire(timeout=GUARD)
        yield b"last"

    call = streaming(messages())
    assert next(call) == b"first"
    tell("began")
    sys.stdin.readline()
    told.release()
    assert list(call) == [b"last"]


def load():
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        calls = [(b"%d" % number, pool.submit(unary, b"%d" % number)) for number in range(1000)]
        for sent, answer in calls:
            assert answer.result(GUARD) == sent


def drain():
    told = threading.Semaphore(0)

    def messages():
        yield b"first"
        assert told.acquire(timeout=GUARD)
        yield b"last"

    call = streaming(messages())
    assert next(call) == b"first"
    tell("began")
    sys.stdin.readline()
    # The channel has got the GOAWAY, and connects anew in vain.
    try:
        while True:
            unary(b"another", timeout=GUARD)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
    told.release()
    assert list(call) == [b"last"]


globals()[case]()
channel.close()
tell("ok")
