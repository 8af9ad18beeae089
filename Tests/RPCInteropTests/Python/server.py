"""Serves the test service with grpcio until its standard input ends; prints its port.

Usage: server.py FOLDER, where FOLDER has ca.pem, leaf.pem and leaf.key.
"""
import sys
import threading
from concurrent import futures

import grpc


def read(name):
    with open(f"{sys.argv[1]}/{name}", "rb") as file:
        return file.read()


def echoed(context):
    return tuple((k, v) for k, v in context.invocation_metadata() if k.startswith("echo-"))


def send_echoed(context):
    context.send_initial_metadata(echoed(context))
    context.set_trailing_metadata(echoed(context))


def unary(request, context):
    if request[:1] == b"\xff":
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, request[1:].decode())
    send_echoed(context)
    return request


def collect(requests, context):
    send_echoed(context)
    return str(sum(len(r) for r in requests)).encode()


def expand(request, context):
    send_echoed(context)
    count, size = map(int, request.split())
    for index in range(count):
        yield bytes([index % 256]) + b"\x07" * (size - 1)


def chat(requests, context):
    send_echoed(context)
    yield from requests


def hang(request, context):
    over = threading.Event()
    context.add_callback(over.set)
    over.wait()
    return b""


def main():
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Collect": grpc.stream_unary_rpc_method_handler(collect),
        "Expand": grpc.unary_stream_rpc_method_handler(expand),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
        "Hang": grpc.unary_unary_rpc_method_handler(hang),
    }
    server = grpc.server(
        futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", 100 << 20)]
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("weft.test.Service", handlers),))
    credentials = grpc.ssl_server_credentials(
        [(read("leaf.key"), read("leaf.pem"))], read("ca.pem"), require_client_auth=True
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(0)


main()
