"""Calls every method of the test service with grpcio.

Usage: client.py FOLDER PORT, where FOLDER has ca.pem, leaf.pem and leaf.key.
"""
import sys

import grpc


def read(name):
    with open(f"{sys.argv[1]}/{name}", "rb") as file:
        return file.read()


def main():
    credentials = grpc.ssl_channel_credentials(read("ca.pem"), read("leaf.key"), read("leaf.pem"))
    options = [("grpc.max_receive_message_length", 100 << 20), ("grpc.enable_http_proxy", 0)]
    with grpc.secure_channel(f"localhost:{sys.argv[2]}", credentials, options) as channel:
        path = "/weft.test.Service/"
        unary = channel.unary_unary(path + "Unary")
        metadata = (("echo-text", "one"), ("echo-text", "two"), ("echo-bytes-bin", b"\x00\xff\x0a"))

        def check_echoed(received):
            assert [v for k, v in received if k == "echo-text"] == ["one", "two"], received
            assert [v for k, v in received if k == "echo-bytes-bin"] == [b"\x00\xff\x0a"], received

        response, call = unary.with_call(b"\x01\x02\x03", metadata=metadata, wait_for_ready=True)
        assert response == b"\x01\x02\x03"
        check_echoed(call.initial_metadata())
        check_echoed(call.trailing_metadata())

        try:
            unary(b"\xffno")
            raise AssertionError("it should have failed")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, error
            assert error.details() == "no", error
            assert ("detail-bin", b"\x01\x02\x03") in error.trailing_metadata(), error

        try:
            channel.unary_unary(path + "Unknown")(b"")
            raise AssertionError("it should be unknown")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error

        collect = channel.stream_unary(path + "Collect")
        assert collect(iter([b"a", b"bc", b""])) == b"3"

        expand = channel.unary_stream(path + "Expand")
        messages = list(expand(b"200 3000", metadata=metadata))
        assert [m[0] for m in messages] == list(range(200))

        chat = channel.stream_stream(path + "Chat")
        requests = [f"message {i}".encode() for i in range(1000)]
        assert list(chat(iter(requests))) == requests

        large = b"\x03" * (3 << 20)
        assert unary(large) == large

        try:
            channel.unary_unary(path + "Hang")(b"", timeout=1)
            raise AssertionError("it should be late")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error

        flood = channel.stream_stream(path + "Flood")(iter([]))
        for _ in range(3):
            assert len(next(flood)) == 65536
        flood.cancel()
    print("every call was answered as expected")


main()
