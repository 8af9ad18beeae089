"""A contract that speaks the chaincode protocol by itself, on grpcio and Fabric's messages alone: for everything that
the official Python shim can't do. Runs as a service (CHAINCODE_ID and CHAINCODE_SERVER_ADDRESS), or registers with the peer
that started it (-peer.address, CORE_CHAINCODE_ID_NAME and the TLS files of Fabric's environment)."""

import base64
import concurrent.futures
import json
import os
import queue
import subprocess
import sys
import threading

import grpc
from fabric_protos.common import common_pb2
from fabric_protos.ledger.queryresult import kv_query_result_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import (
    chaincode_event_pb2, chaincode_pb2, chaincode_shim_pb2 as shim, chaincode_shim_pb2_grpc, proposal_pb2,
    proposal_response_pb2,
)

Message = shim.ChaincodeMessage


class Refused(Exception):
    """The peer answered a request with ERROR."""


class Transaction:
    def __init__(self, message, send):
        self.message, self.send = message, send
        self.answers = queue.Queue()
        self.event = None

    def ask(self, kind, payload):
        self.send(Message(type=kind, payload=payload.SerializeToString(), txid=self.message.txid,
                          channel_id=self.message.channel_id))
        answer = self.answers.get(timeout=60)
        if answer.type == Message.ERROR:
            raise Refused(answer.payload.decode())
        return answer.payload

    def transient(self, name):
        proposal = proposal_pb2.Proposal.FromString(self.message.proposal.proposal_bytes)
        return proposal_pb2.ChaincodeProposalPayload.FromString(proposal.payload).TransientMap[name]

    def run(self):
        arguments = [argument.decode() for argument in chaincode_pb2.ChaincodeInput.FromString(
            self.message.payload).args]
        try:
            answer = getattr(self, arguments[0])(*arguments[1:])
            response = proposal_response_pb2.Response(status=200, payload=answer or b"")
        except Exception as error:
            response = proposal_response_pb2.Response(status=500, message=str(error))
        if response is not None and self.message.txid:
            end = Message(type=Message.COMPLETED, payload=response.SerializeToString(), txid=self.message.txid,
                          channel_id=self.message.channel_id)
            if self.event:
                end.chaincode_event.CopyFrom(self.event)
            self.send(end)

    # State.

    def put(self, key, value):
        self.ask(Message.PUT_STATE, shim.PutState(key=key, value=value.encode()))

    def get(self, key):
        return self.ask(Message.GET_STATE, shim.GetState(key=key))

    def increment(self, key):
        value = str(int(self.get(key) or b"0") + 1)
        self.put(key, value)
        return value.encode()

    def delete(self, key):
        self.ask(Message.DEL_STATE, shim.DelState(key=key))

    def fill(self, prefix, count):
        for number in range(int(count)):
            self.put(f"{prefix}{number:05}", str(number))

    def batch(self, pairs):
        records = [shim.WriteRecord(key=key, value=value.encode(), type=shim.WriteRecord.PUT_STATE)
                   for key, value in json.loads(pairs)]
        self.ask(Message.WRITE_BATCH_STATE, shim.WriteBatchState(rec=records))

    def many(self, keys):
        result = shim.GetStateMultipleResult.FromString(
            self.ask(Message.GET_STATE_MULTIPLE, shim.GetStateMultiple(keys=json.loads(keys))))
        return json.dumps([value.decode() for value in result.values]).encode()

    # Queries.

    def rows(self, first):
        """What an iterator gives, message by message."""
        found = shim.QueryResponse.FromString(first)
        while True:
            yield from (row.resultBytes for row in found.results)
            if not found.has_more:
                break
            found = shim.QueryResponse.FromString(self.ask(Message.QUERY_STATE_NEXT, shim.QueryStateNext(id=found.id)))

    def pairs(self, start, end):
        found = self.ask(Message.GET_STATE_BY_RANGE, shim.GetStateByRange(startKey=start, endKey=end))
        return [kv_query_result_pb2.KV.FromString(row) for row in self.rows(found)]

    def range(self, start, end):
        return json.dumps([[pair.key, pair.value.decode()] for pair in self.pairs(start, end)]).encode()

    def paged(self, start, end, size, bookmark):
        metadata = shim.QueryMetadata(pageSize=int(size), bookmark=bookmark).SerializeToString()
        return shim.QueryResponse.FromString(self.ask(
            Message.GET_STATE_BY_RANGE, shim.GetStateByRange(startKey=start, endKey=end, metadata=metadata)))

    def page(self, *arguments):
        rows = self.paged(*arguments).results
        return json.dumps([kv_query_result_pb2.KV.FromString(row.resultBytes).key for row in rows]).encode()

    def bookmark(self, *arguments):
        return shim.QueryResponseMetadata.FromString(self.paged(*arguments).metadata).bookmark.encode()

    def history(self, key):
        found = self.ask(Message.GET_HISTORY_FOR_KEY, shim.GetHistoryForKey(key=key))
        changes = [kv_query_result_pb2.KeyModification.FromString(row) for row in self.rows(found)]
        return json.dumps([None if change.is_delete else change.value.decode() for change in changes]).encode()

    @staticmethod
    def composite_key(kind, attributes):
        return "\0" + "".join(part + "\0" for part in [kind, *json.loads(attributes)])

    def composite(self, kind, attributes):
        self.put(self.composite_key(kind, attributes), "1")

    def partial(self, kind, attributes):
        start = self.composite_key(kind, attributes)
        return json.dumps([pair.key.split("\0")[1:-1] for pair in self.pairs(start, start + "\U0010ffff")]).encode()

    def rich(self, query):
        self.ask(Message.GET_QUERY_RESULT, shim.GetQueryResult(query=query))

    def who(self):
        proposal = proposal_pb2.Proposal.FromString(self.message.proposal.proposal_bytes)
        signature = common_pb2.SignatureHeader.FromString(
            common_pb2.Header.FromString(proposal.header).signature_header)
        mspid = identities_pb2.SerializedIdentity.FromString(signature.creator).mspid
        return json.dumps([mspid, self.message.channel_id, self.message.txid]).encode()

    def refuse(self, text):
        raise Refused(text)

    # Private data.

    def get_private(self, collection, key):
        return self.ask(Message.GET_STATE, shim.GetState(key=key, collection=collection))

    def put_private(self, collection, key):
        value = self.transient("value")
        self.ask(Message.PUT_STATE, shim.PutState(key=key, value=value, collection=collection))

    def hash_private(self, collection, key):
        return self.ask(Message.GET_PRIVATE_DATA_HASH, shim.GetState(key=key, collection=collection))

    def purge_private(self, collection, key):
        self.ask(Message.PURGE_PRIVATE_DATA, shim.PurgePrivateState(key=key, collection=collection))

    # Key-level endorsement, events, other contracts, errors.

    def set_policy(self, key, policy):
        metadata = shim.StateMetadata(metakey="VALIDATION_PARAMETER", value=base64.b64decode(policy))
        self.ask(Message.PUT_STATE_METADATA, shim.PutStateMetadata(key=key, metadata=metadata))

    def get_policy(self, key):
        result = shim.StateMetadataResult.FromString(
            self.ask(Message.GET_STATE_METADATA, shim.GetStateMetadata(key=key)))
        return next((entry.value for entry in result.entries), b"")

    def emit(self, name, payload):
        self.put("emitted", name)
        self.event = chaincode_event_pb2.ChaincodeEvent(event_name=name, payload=payload.encode())

    def call(self, name, *arguments):
        spec = chaincode_pb2.ChaincodeSpec(
            chaincode_id=chaincode_pb2.ChaincodeID(name=name),
            input=chaincode_pb2.ChaincodeInput(args=[argument.encode() for argument in arguments]))
        ended = Message.FromString(self.ask(Message.INVOKE_CHAINCODE, spec))
        return proposal_response_pb2.Response.FromString(ended.payload).payload

    def break_off(self, text):
        self.send(Message(type=Message.ERROR, payload=text.encode(), txid=self.message.txid,
                          channel_id=self.message.channel_id))
        self.message.txid = ""

    def another(self, key):
        """Asks for a transaction that isn't its own; the peer must refuse it, and go on with this one."""
        self.send(Message(type=Message.PUT_STATE, payload=shim.PutState(key=key, value=b"x").SerializeToString(),
                          txid="0" * 64, channel_id=self.message.channel_id))
        return self.get(key)

    def garbage(self):
        self.send(Message(type=Message.GET_STATE, payload=b"\xff\xff\xff", txid=self.message.txid,
                          channel_id=self.message.channel_id))
        answer = self.answers.get(timeout=60)
        return answer.payload

    def flood(self):
        """Goes on about transactions that aren't its own."""
        for number in range(20_000):
            self.send(Message(type=Message.DEL_STATE, txid=f"{number:064}", channel_id=self.message.channel_id))

    def die(self):
        os._exit(1)

    # What only a contract does that the peer started.

    def process(self):
        return str(os.getpid()).encode()

    def environment(self):
        return json.dumps(dict(os.environ)).encode()

    def loop(self):
        while True:
            pass

    def print(self, lines):
        for number in range(int(lines)):
            print(f"{number:08} " + "x" * 1000)
        sys.stdout.flush()

    def spawn(self):
        """Starts a process that leaves the session."""
        return str(subprocess.Popen(["sleep", "1000"], start_new_session=True).pid).encode()


def converse(requests, name):
    """What goes to the peer, for what comes from it."""
    outgoing, running = queue.Queue(), {}
    outgoing.put(Message(type=Message.REGISTER, payload=chaincode_pb2.ChaincodeID(name=name).SerializeToString()))

    def read():
        try:
            for message in requests():
                key = (message.channel_id, message.txid)
                if message.type in (Message.TRANSACTION, Message.INIT):
                    running[key] = Transaction(message, outgoing.put)
                    threading.Thread(target=running[key].run, daemon=True).start()
                elif message.type in (Message.RESPONSE, Message.ERROR) and key in running:
                    running[key].answers.put(message)
        except grpc.RpcError:
            pass
        outgoing.put(None)

    threading.Thread(target=read, daemon=True).start()
    while (message := outgoing.get()) is not None:
        yield message


class Service(chaincode_shim_pb2_grpc.ChaincodeServicer):
    def Connect(self, requests, context):
        yield from converse(lambda: requests, os.environ["CHAINCODE_ID"])


def register(address):
    def content(variable):
        with open(os.environ[variable], "rb") as file:
            return file.read()

    assert os.environ["CORE_PEER_TLS_ENABLED"] == "true"
    credentials = grpc.ssl_channel_credentials(
        content("CORE_PEER_TLS_ROOTCERT_FILE"), content("CORE_TLS_CLIENT_KEY_FILE"), content("CORE_TLS_CLIENT_CERT_FILE"))
    with grpc.secure_channel(address, credentials) as channel:
        answers = queue.Queue()
        stream = chaincode_shim_pb2_grpc.ChaincodeSupportStub(channel).Register(
            converse(lambda: iter(answers.get, None), os.environ["CORE_CHAINCODE_ID_NAME"]))
        try:
            for message in stream:
                answers.put(message)
        finally:
            answers.put(None)


if __name__ == "__main__" and "-peer.address" in sys.argv:
    register(sys.argv[sys.argv.index("-peer.address") + 1])
elif __name__ == "__main__":
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=20))
    chaincode_shim_pb2_grpc.add_ChaincodeServicer_to_server(Service(), server)
    assert server.add_insecure_port(os.environ["CHAINCODE_SERVER_ADDRESS"])
    server.start()
    server.wait_for_termination()
