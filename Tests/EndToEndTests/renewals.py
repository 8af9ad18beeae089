"""Renews every certificate of a consortium's nodes while `weft bench` writes to it, and lets the old ones expire.

WEFT names the executable. Run by scripts/end-to-end.
"""

import datetime
import os
import socket
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from members import Consortium, Load, check_nothing_lost

# How long the nodes' first certificates live, from before the nodes start.
LIFE = datetime.timedelta(seconds=80)


@pytest.fixture(scope="module")
def consortium(tmp_path_factory):
    consortium = Consortium(tmp_path_factory.mktemp("renewals"), os.environ["WEFT"])
    try:
        consortium.up()
        yield consortium
    finally:
        consortium.down()


def reissue(path, authority, end):
    """Puts a certificate that ends at `end` in the place of another one, for the same key; returns its serial number."""
    old = x509.load_pem_x509_certificate(path.read_bytes())
    issuer = x509.load_pem_x509_certificate(next(authority.glob("*-cert.pem")).read_bytes())
    key = serialization.load_pem_private_key((authority / "priv_sk").read_bytes(), None)
    builder = (x509.CertificateBuilder()
               .subject_name(old.subject).issuer_name(issuer.subject).public_key(old.public_key())
               .serial_number(x509.random_serial_number())
               .not_valid_before(issuer.not_valid_before_utc + datetime.timedelta(seconds=1)).not_valid_after(end))
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    new = builder.sign(key, hashes.SHA256())
    path.write_bytes(new.public_bytes(serialization.Encoding.PEM))
    return new.serial_number


class Node:
    """A running node whose certificates are renewed."""

    def __init__(self, organization, folder, endpoints, log):
        self.organization, self.folder, self.log = organization, folder, log
        # Everything that shows the TLS certificate.
        self.endpoints = endpoints

    @property
    def enrollment(self):
        return next((self.folder / "msp/signcerts").glob("*.pem"))

    def shorten(self, end):
        """Has all of the node's certificates end at a time."""
        authority = self.organization.folder
        reissue(self.folder / "tls/server.crt", authority / "tlsca", end)
        reissue(self.enrollment, authority / "ca", end)

    def renew(self):
        organization = self.organization
        organization.consortium.weft("ca", "renew", organization.folder, f"node0.{organization.domain}", "--days", 365)

    @staticmethod
    def serial(path):
        return x509.load_pem_x509_certificate(path.read_bytes()).serial_number

    def shown(self, endpoint):
        """The serial number of the certificate that a new connection gets."""
        tls = self.organization.member("admin") / "tls"
        context = ssl.create_default_context(cafile=self.folder / "tls/ca.crt")
        context.load_cert_chain(tls / "client.crt", tls / "client.key")
        context.set_alpn_protocols(["h2", "http/1.1"])
        host, port = endpoint.split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            with context.wrap_socket(connection, server_hostname=host) as secured:
                return x509.load_der_x509_certificate(secured.getpeercert(True)).serial_number

    def has_taken_up(self):
        """Whether the node shows and signs with what stands in its files."""
        tls, enrollment = self.serial(self.folder / "tls/server.crt"), self.serial(self.enrollment)
        return f"{enrollment:x}" in self.log.read_text() and all(self.shown(place) == tls for place in self.endpoints)


def test_certificates_are_renewed_under_load_and_nothing_is_dropped(consortium):
    grid = consortium.add("grid")
    network = consortium.network
    orderer, auditor, utility = consortium["orderer"], consortium["auditor"], consortium["utility"]
    listed = network.node("orderer")
    nodes = [
        Node(orderer, orderer.folder / "orderers/node0.orderer.example", [listed["endpoint"], listed["administration"]],
             consortium.folder / "nodes/orderer/log"),
        *(Node(peer, peer.node, [peer.endpoint], consortium.folder / "nodes" / peer.name / "log")
          for peer in [auditor, utility]),
    ]
    consortium.weft("network", "down", "--folder", consortium.folder)
    end = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + LIFE
    # From here on all that the nodes sign, and every stream that they open, is with certificates that are about to end.
    nodes.append(Node(grid, grid.node, [], consortium.root / "peers/grid/log"))
    for node in nodes:
        node.shorten(end)
    consortium.weft("network", "up", "--folder", consortium.folder)
    consortium.join("grid", ["utility", "auditor"])
    nodes[-1].endpoints = [grid.endpoint, grid.operations]
    assert consortium.try_weft("certs", "status", "--config", grid.configuration).returncode == 2

    with Load(consortium, "auditor") as load:
        load.go_on()
        for node in nodes:
            node.renew()
        for node in nodes:
            consortium.wait(node.has_taken_up, f"{node.organization.name} does not take up renewed certificates")
        load.go_on()
        now = datetime.datetime.now(datetime.timezone.utc)
        assert now < end, "the machine was too slow: the first certificates have expired before they were renewed"
        time.sleep((end - now).total_seconds() + 1)
        # The orderer has ended the streams that expired identities had asked for; the peers have come back.
        load.go_on(50)
        for name in ["auditor", "utility", "grid"]:
            assert consortium.height(name) > 0
    assert load.report["failed"] == 0, load.report["reasons"]
    check_nothing_lost(consortium, load, ["auditor", "utility", "grid"])
    # The certificates of the ordering nodes in the channel's configuration are the first ones, whose key is the same.
    assert consortium.try_weft("certs", "status", "--config", grid.configuration).returncode == 0
