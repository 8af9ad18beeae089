"""A contract on the official Python shim (PyPI fabric-chaincode-python), which runs as a service: CHAINCODE_ID and
CHAINCODE_SERVER_ADDRESS say as what and where. Does what that shim can do."""

import json

from fabric_chaincode_python.fabric_shim import server
from fabric_chaincode_python.fabric_shim.interfaces import Chaincode
from fabric_chaincode_python.fabric_shim.response import success
from fabric_protos.peer import proposal_response_pb2


class Contract(Chaincode):
    async def init(self, stub):
        return success(b"initialized")

    async def invoke(self, stub):
        function, arguments = stub.get_function_and_parameters()
        try:
            return await getattr(self, function)(stub, *arguments)
        except Exception as error:
            return proposal_response_pb2.Response(status=500, message=str(error))

    async def put(self, stub, key, value):
        await stub.put_state(key, value)
        return success(b"")

    async def get(self, stub, key):
        return success(await stub.get_state(key))

    async def increment(self, stub, key):
        value = int(await stub.get_state(key) or b"0") + 1
        await stub.put_state(key, str(value))
        return success(str(value))

    async def delete(self, stub, key):
        await stub.delete_state(key)
        return success(b"")

    async def fill(self, stub, prefix, count):
        for number in range(int(count)):
            await stub.put_state(f"{prefix}{number:05}", str(number))
        return success(b"")

    async def range(self, stub, start, end):
        rows = await stub.get_state_by_range(start, end)
        return success(json.dumps([[row.key, row.value.decode()] async for row in rows]))

    async def page(self, stub, start, end, size, bookmark):
        rows = await stub.get_state_by_range_with_pagination(start, end, int(size), bookmark)
        return success(json.dumps([row.key async for row in rows]))

    async def history(self, stub, key):
        changes = await stub.get_history_for_key(key)
        return success(json.dumps([None if change.is_delete else change.value.decode() async for change in changes]))

    async def composite(self, stub, kind, attributes):
        await stub.put_state(stub.create_composite_key(kind, json.loads(attributes)), "1")
        return success(b"")

    async def partial(self, stub, kind, attributes):
        rows = await stub.get_state_by_partial_composite_key(kind, json.loads(attributes))
        return success(json.dumps([row.key.split("\0")[1:-1] async for row in rows]))

    async def who(self, stub):
        return success(json.dumps([stub.get_creator()["mspid"], stub.get_channel_id(), stub.get_txid()]))

    async def refuse(self, stub, text):
        return proposal_response_pb2.Response(status=500, message=text)


if __name__ == "__main__":
    server.start(Contract)
