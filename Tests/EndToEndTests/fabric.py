"""A small Fabric client, written against hyperledger-fabric-protos and grpcio alone: it shares no code with Weft, so it
shows that Weft speaks Fabric's protocols and not just its own. It also computes the hashes of blocks by itself."""

import hashlib
import json
import os
import pathlib
import struct
import time

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from google.protobuf.timestamp_pb2 import Timestamp

from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2, gateway_pb2_grpc
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.orderer import ab_pb2, ab_pb2_grpc
from fabric_protos.peer import (
    chaincode_pb2, events_pb2_grpc, peer_pb2_grpc, proposal_pb2, proposal_response_pb2, transaction_pb2,
)

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Identity:
    """A member of an organization: certificate, key, and how they sign in Fabric."""

    def __init__(self, msp_id, msp_folder):
        self.msp_id = msp_id
        folder = pathlib.Path(msp_folder)
        self.certificate = next((folder / "signcerts").iterdir()).read_bytes()
        key = next((folder / "keystore").iterdir()).read_bytes()
        self.key = serialization.load_pem_private_key(key, password=None)
        self.serialized = identities_pb2.SerializedIdentity(
            mspid=msp_id, id_bytes=self.certificate).SerializeToString()

    def sign(self, message):
        """An ECDSA signature over SHA-256 whose s is in the lower half of the order: Fabric refuses others."""
        r, s = decode_dss_signature(self.key.sign(message, ec.ECDSA(hashes.SHA256())))
        return encode_dss_signature(r, min(s, P256_ORDER - s))


class Network:
    """What `weft network up` wrote down about the network it started."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.description = json.loads((self.folder / "network.json").read_text())
        self.channel = self.description["channel"]

    def path(self, relative):
        return self.folder / relative

    def node(self, name):
        return next(node for node in self.description["nodes"] if node["name"] == name)

    def peers(self):
        return [node["name"] for node in self.description["nodes"] if node["role"] == "peer"]

    def identity(self, name):
        found = next(entry for entry in self.description["identities"] if entry["name"] == name)
        return Identity(found["mspID"], self.path(found["msp"]))

    def connect(self, node_name, identity_name):
        """A channel with mutual TLS, and the hash of the client certificate that Deliver requests carry."""
        node = self.node(node_name)
        client = next(entry for entry in self.description["identities"] if entry["name"] == identity_name)
        certificate = self.path(client["tlsCertificate"]).read_bytes()
        credentials = grpc.ssl_channel_credentials(
            root_certificates=self.path(node["tlsRoots"]).read_bytes(),
            private_key=self.path(client["tlsKey"]).read_bytes(),
            certificate_chain=certificate)
        der = x509.load_pem_x509_certificate(certificate).public_bytes(serialization.Encoding.DER)
        channel = grpc.secure_channel(node["endpoint"], credentials, options=[
            ("grpc.max_receive_message_length", 100 << 20), ("grpc.max_send_message_length", 100 << 20)])
        return channel, hashlib.sha256(der).digest()


def headers(kind, channel, identity, nonce, transaction_id="", extension=b"", tls_hash=b""):
    timestamp = Timestamp()
    timestamp.GetCurrentTime()
    channel_header = common_pb2.ChannelHeader(
        type=kind, timestamp=timestamp, channel_id=channel, tx_id=transaction_id, extension=extension,
        tls_cert_hash=tls_hash)
    signature_header = common_pb2.SignatureHeader(creator=identity.serialized, nonce=nonce)
    return common_pb2.Header(channel_header=channel_header.SerializeToString(),
                             signature_header=signature_header.SerializeToString())


def proposal(channel, contract, arguments, identity, nonce=None, transient=None):
    """A signed proposal and its transaction identifier."""
    nonce = nonce or os.urandom(24)
    transaction_id = hashlib.sha256(nonce + identity.serialized).hexdigest()
    chaincode = chaincode_pb2.ChaincodeID(name=contract)
    header = headers(
        common_pb2.ENDORSER_TRANSACTION, channel, identity, nonce, transaction_id,
        proposal_pb2.ChaincodeHeaderExtension(chaincode_id=chaincode).SerializeToString())
    specification = chaincode_pb2.ChaincodeInvocationSpec(chaincode_spec=chaincode_pb2.ChaincodeSpec(
        type=chaincode_pb2.ChaincodeSpec.GOLANG, chaincode_id=chaincode,
        input=chaincode_pb2.ChaincodeInput(args=[a if isinstance(a, bytes) else a.encode() for a in arguments])))
    payload = proposal_pb2.ChaincodeProposalPayload(
        input=specification.SerializeToString(), TransientMap=transient or {})
    unsigned = proposal_pb2.Proposal(
        header=header.SerializeToString(), payload=payload.SerializeToString()).SerializeToString()
    return transaction_id, proposal_pb2.SignedProposal(
        proposal_bytes=unsigned, signature=identity.sign(unsigned))


def assemble(signed_proposal, responses, identity):
    """The signed envelope of a transaction, from a proposal and its endorsements."""
    unsigned = proposal_pb2.Proposal.FromString(signed_proposal.proposal_bytes)
    header = common_pb2.Header.FromString(unsigned.header)
    visible = proposal_pb2.ChaincodeProposalPayload(
        input=proposal_pb2.ChaincodeProposalPayload.FromString(unsigned.payload).input)
    assert len({response.payload for response in responses}) == 1, "endorsers came to different results"
    action = transaction_pb2.ChaincodeActionPayload(
        chaincode_proposal_payload=visible.SerializeToString(),
        action=transaction_pb2.ChaincodeEndorsedAction(
            proposal_response_payload=responses[0].payload,
            endorsements=[response.endorsement for response in responses]))
    transaction = transaction_pb2.Transaction(actions=[transaction_pb2.TransactionAction(
        header=header.signature_header, payload=action.SerializeToString())])
    payload = common_pb2.Payload(header=header, data=transaction.SerializeToString()).SerializeToString()
    return common_pb2.Envelope(payload=payload, signature=identity.sign(payload))


class Gateway:
    def __init__(self, channel_connection, channel, identity):
        self.stub = gateway_pb2_grpc.GatewayStub(channel_connection)
        self.channel, self.identity = channel, identity

    def evaluate(self, contract, *arguments):
        transaction_id, signed = proposal(self.channel, contract, arguments, self.identity)
        request = gateway_pb2.EvaluateRequest(
            transaction_id=transaction_id, channel_id=self.channel, proposed_transaction=signed)
        return self.stub.Evaluate(request, timeout=30).result.payload

    def endorse(self, contract, *arguments, organizations=()):
        """Endorsers that disagree are asked again: one of them may not yet have the block that another one has."""
        end = time.monotonic() + 10
        while True:
            transaction_id, signed = proposal(self.channel, contract, arguments, self.identity)
            request = gateway_pb2.EndorseRequest(
                transaction_id=transaction_id, channel_id=self.channel, proposed_transaction=signed,
                endorsing_organizations=organizations)
            try:
                return transaction_id, self.stub.Endorse(request, timeout=30).prepared_transaction
            except grpc.RpcError as error:
                details = b"".join(value for _, value in error.trailing_metadata() or () if isinstance(value, bytes))
                if b"ProposalResponsePayloads do not match" not in details or time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def send(self, transaction_id, envelope):
        if not envelope.signature:
            envelope.signature = self.identity.sign(envelope.payload)
        self.stub.Submit(gateway_pb2.SubmitRequest(
            transaction_id=transaction_id, channel_id=self.channel, prepared_transaction=envelope), timeout=30)

    def status(self, transaction_id, timeout=30):
        request = gateway_pb2.CommitStatusRequest(
            transaction_id=transaction_id, channel_id=self.channel,
            identity=self.identity.serialized).SerializeToString()
        return self.stub.CommitStatus(gateway_pb2.SignedCommitStatusRequest(
            request=request, signature=self.identity.sign(request)), timeout=timeout)

    def submit(self, contract, *arguments, organizations=()):
        transaction_id, prepared = self.endorse(contract, *arguments, organizations=organizations)
        self.send(transaction_id, prepared)
        return transaction_id, self.status(transaction_id)

    def events(self, contract, start=None, timeout=30):
        position = (ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=start)) if start is not None
                    else ab_pb2.SeekPosition(next_commit=ab_pb2.SeekNextCommit()))
        request = gateway_pb2.ChaincodeEventsRequest(
            channel_id=self.channel, chaincode_id=contract, identity=self.identity.serialized,
            start_position=position).SerializeToString()
        return self.stub.ChaincodeEvents(gateway_pb2.SignedChaincodeEventsRequest(
            request=request, signature=self.identity.sign(request)), timeout=timeout)


def seek(channel, identity, tls_hash, start, stop, behavior=ab_pb2.SeekInfo.BLOCK_UNTIL_READY):
    position = lambda number: ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=number))
    information = ab_pb2.SeekInfo(start=position(start), stop=position(stop), behavior=behavior)
    payload = common_pb2.Payload(
        header=headers(common_pb2.DELIVER_SEEK_INFO, channel, identity, os.urandom(24), tls_hash=tls_hash),
        data=information.SerializeToString()).SerializeToString()
    return common_pb2.Envelope(payload=payload, signature=identity.sign(payload))


def peer_blocks(connection, channel, identity, tls_hash, start, stop):
    """The blocks that a peer delivers, and the status at the end."""
    stub = events_pb2_grpc.DeliverStub(connection)
    return _collect(stub.Deliver(iter([seek(channel, identity, tls_hash, start, stop)]), timeout=30))


def orderer_blocks(connection, channel, identity, tls_hash, start, stop):
    stub = ab_pb2_grpc.AtomicBroadcastStub(connection)
    return _collect(stub.Deliver(iter([seek(channel, identity, tls_hash, start, stop)]), timeout=30))


def _collect(stream):
    blocks = []
    for message in stream:
        if message.WhichOneof("Type") == "block":
            blocks.append(message.block)
        else:
            return blocks, message.status
    return blocks, None


def broadcast(connection, envelope):
    stub = ab_pb2_grpc.AtomicBroadcastStub(connection)
    return next(iter(stub.Broadcast(iter([envelope]), timeout=30)))


def endorser(connection, signed_proposal):
    return peer_pb2_grpc.EndorserStub(connection).ProcessProposal(signed_proposal, timeout=30)


# Hashes, computed here from the bytes and the rules alone.

def der(tag, content):
    length = bytes([len(content)]) if len(content) < 128 else bytes([0x81, len(content)])
    return bytes([tag]) + length + content


def header_hash(header):
    """SHA-256 of SEQUENCE { INTEGER number, OCTET STRING previous_hash, OCTET STRING data_hash }."""
    number = header.number.to_bytes((header.number.bit_length() // 8) + 1, "big")
    return hashlib.sha256(der(0x30, der(0x02, number) + der(0x04, header.previous_hash)
                              + der(0x04, header.data_hash))).digest()


def data_hash(block):
    return hashlib.sha256(b"".join(block.data.data)).digest()


def varint(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def order_preserving(number):
    """A number as Fabric's height bytes write it: a length byte, then big-endian without leading zeros."""
    content = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return bytes([len(content)]) + content


class CommitHashes:
    """The commit hash of each block of a chain, computed from block 1 on, in order.

    Keeps the values of the world state: a transaction that changes only a key's metadata (its own endorsement
    policy) takes part in the hash with the value that the key has already.
    """

    def __init__(self):
        self.previous = b""
        self.state = {}  # (namespace, collection, key or key hash) -> value

    def next(self, block):
        codes = block.metadata.metadata[2]
        self.previous = hashlib.sha256(varint(len(codes)) + codes + self.updates(block) + self.previous).digest()
        return self.previous

    def updates(self, block):
        """The final writes of a block's valid transactions, in the encoding that the commit hash covers."""
        final = {}
        for index, results in valid_results(block):
            version = order_preserving(block.header.number) + order_preserving(index)
            for place, value in self.writes(results):
                final[place] = (value, version)
        encoded, last_namespace, last_collection = b"", "", ""
        for (namespace, collection, key), (value, version) in sorted(final.items()):
            entry = field(1, namespace) if namespace != last_namespace else b""
            if collection and (namespace, collection) != (last_namespace, last_collection):
                entry += field(2, collection)
            entry += field(3, key)
            if value is None:
                entry += varint(4 << 3) + b"\x01"
            else:
                entry += field(5, value)
            encoded += field(1, entry + field(6, version))
            last_namespace, last_collection = namespace, collection
        return encoded

    def writes(self, results):
        """What one transaction leaves, as (place, value), the value None for a deleted key; applied to the state."""
        changed = {}
        for namespace in rwset_pb2.TxReadWriteSet.FromString(results).ns_rwset:
            name = namespace.namespace.encode()
            written = kv_rwset_pb2.KVRWSet.FromString(namespace.rwset)
            for write in written.writes:
                # Writing an empty value deletes a key, as does writing an empty value's hash.
                changed[(name, b"", write.key.encode())] = None if write.is_delete else write.value or None
            touched = [(name, b"", write.key.encode()) for write in written.metadata_writes]
            for collection in namespace.collection_hashed_rwset:
                hashed = kv_rwset_pb2.HashedRWSet.FromString(collection.hashed_rwset)
                at = collection.collection_name.encode()
                for write in hashed.hashed_writes:
                    deletes = write.is_delete or write.value_hash in (b"", hashlib.sha256().digest())
                    changed[(name, at, write.key_hash)] = None if deletes else write.value_hash
                touched += [(name, at, write.key_hash) for write in hashed.metadata_writes]
            for place in touched:
                if place not in changed and place in self.state:
                    changed[place] = self.state[place]
        for place, value in changed.items():
            if value is None:
                self.state.pop(place, None)
            else:
                self.state[place] = value
        return changed.items()


def valid_results(block):
    """The read-write sets of a block's valid endorser transactions: (index in the block, bytes)."""
    codes = block.metadata.metadata[2]
    for index, data in enumerate(block.data.data):
        if codes[index] != 0:
            continue
        payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(data).payload)
        kind = common_pb2.ChannelHeader.FromString(payload.header.channel_header).type
        if kind != common_pb2.ENDORSER_TRANSACTION:
            continue
        for action in transaction_pb2.Transaction.FromString(payload.data).actions:
            content = transaction_pb2.ChaincodeActionPayload.FromString(action.payload)
            response = proposal_response_pb2.ProposalResponsePayload.FromString(
                content.action.proposal_response_payload)
            yield index, proposal_pb2.ChaincodeAction.FromString(response.extension).results


def blocks(content):
    """The blocks of a file in which each follows its length as a varint."""
    at = 0
    while at < len(content):
        length, shift = 0, 0
        while True:
            byte = content[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        yield common_pb2.Block.FromString(content[at:at + length])
        at += length


def stored_commit_hash(block):
    if len(block.metadata.metadata) < 5:
        return b""
    return common_pb2.Metadata.FromString(block.metadata.metadata[4]).value
