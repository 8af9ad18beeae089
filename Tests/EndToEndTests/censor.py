"""Stands between peers and the orderers of a channel, and withholds blocks when it is told to.

censor.py FOLDER SERVER_CERTIFICATES CLIENT_CERTIFICATE ORDERER...

Listens on a free port for each ORDERER (host:port), with the TLS certificate of that orderer, and passes every call on
with the client's certificate. While FOLDER/withhold exists, the orderer that gave the blocks until then gives no more of
them: its headers, and all that the others send, go on. The orderer that FOLDER/swallow names answers SUCCESS to every
transaction on streams that are opened from then on, and never hears of it. Writes FOLDER/addresses, one line for each orderer: its
address and the one that it is to be reached at. SERVER_CERTIFICATES are the folders, joined by commas, that hold
server.crt, server.key and ca.crt of each orderer; CLIENT_CERTIFICATE is the peer's. Needs grpcio.
"""
import concurrent.futures
import pathlib
import sys
import time

import grpc

folder = pathlib.Path(sys.argv[1])
servers = [pathlib.Path(name) for name in sys.argv[2].split(",")]
client = pathlib.Path(sys.argv[3])
orderers = sys.argv[4:]
SUCCESS = b"\x08\xc8\x01"  # BroadcastResponse.status
last_asked = None
withholding = None


def withholds(orderer):
    """Whether this is the orderer that gives no blocks now."""
    global withholding
    if not (folder / "withhold").exists():
        withholding = None
    elif withholding is None:
        withholding = last_asked
    return withholding == orderer


def swallows(orderer):
    """Whether this is the orderer that says that it takes what it doesn't pass on."""
    file = folder / "swallow"
    return file.exists() and file.read_text().strip() == orderer


def fields(message):
    """The fields of an encoded message: number and value."""
    place = 0

    def varint():
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            length = varint()
            yield key >> 3, message[place:place + length]
            place += length


def wants_headers(envelope):
    """Whether a request (Envelope.payload, Payload.data, SeekInfo.content_type) is for headers."""
    payload = dict(fields(envelope))[1]
    return dict(fields(dict(fields(payload))[2])).get(5) == 1


class Calls(grpc.GenericRpcHandler):
    """Passes every call of one orderer on."""

    def __init__(self, orderer, channel):
        self.orderer = orderer
        self.channel = channel

    def service(self, details):
        call = self.channel.stream_stream(details.method)

        def serve(requests, context):
            global last_asked
            requests = iter(requests)
            first = next(requests, None)
            if first is None:
                return
            if details.method.endswith("/Broadcast") and swallows(self.orderer):
                yield SUCCESS
                for _ in requests:
                    yield SUCCESS
                return
            blocks = details.method.endswith("/Deliver") and not wants_headers(first)
            if blocks:
                last_asked = self.orderer

            def together():
                yield first
                yield from requests

            answers = call(together(), wait_for_ready=True)
            context.add_callback(answers.cancel)
            try:
                for answer in answers:
                    while blocks and withholds(self.orderer):
                        if not context.is_active():
                            return
                        time.sleep(0.05)
                    yield answer
            except grpc.RpcError as error:
                if context.is_active():
                    context.abort(error.code(), error.details())

        return grpc.stream_stream_rpc_method_handler(serve)


running = []
with open(folder / "addresses.new", "w") as addresses:
    for orderer, home in zip(orderers, servers):
        roots = (home / "ca.crt").read_bytes()
        upstream = grpc.secure_channel(
            orderer,
            grpc.ssl_channel_credentials(
                roots, (client / "server.key").read_bytes(), (client / "server.crt").read_bytes()
            ),
        )
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=64))
        server.add_generic_rpc_handlers((Calls(orderer, upstream),))
        pair = ((home / "server.key").read_bytes(), (home / "server.crt").read_bytes())
        port = server.add_secure_port(
            "127.0.0.1:0",
            grpc.ssl_server_credentials(
                [pair], root_certificates=(client / "ca.crt").read_bytes(), require_client_auth=True
            ),
        )
        server.start()
        running.append(server)
        addresses.write(f"{orderer} 127.0.0.1:{port}\n")
(folder / "addresses.new").rename(folder / "addresses")
for server in running:
    server.wait_for_termination()
