package import FabricProtos
package import Foundation
internal import SwiftProtobuf

extension Common_Block {
    /// Writes the orderer's metadata and signs it together with the header, as Raft orderers do.
    ///
    /// - Parameters:
    ///   - lastConfig: The number of the config block in force; a config block's own number for itself.
    ///   - consenterMetadata: For Raft, a serialized `common.Metadata` around `etcdraft.BlockMetadata`.
    ///   - signer: The orderer.
    ///   - nonce: 24 random bytes, never used before.
    /// - Throws: `CryptographyError` if the key can't sign.
    /// - Source: Fabric v3, package `orderer/common/multichannel`, block writer.
    package mutating func sign(
        lastConfig: BlockNumber,
        consenterMetadata: Data,
        by signer: SigningIdentity,
        nonce: Data
    ) throws {
        var last = Common_LastConfig()
        last.index = lastConfig
        var orderer = Common_OrdererBlockMetadata()
        orderer.lastConfig = last
        orderer.consenterMetadata = consenterMetadata

        var signatureHeader = Common_SignatureHeader()
        signatureHeader.creator = signer.serialized
        signatureHeader.nonce = nonce
        var signature = Common_MetadataSignature()
        signature.signatureHeader = try signatureHeader.serializedBytes()

        var metadata = Common_Metadata()
        metadata.value = try orderer.serializedBytes()
        signature.signature = try signer.sign(metadata.value + signature.signatureHeader + self.header.der)
        metadata.signatures = [signature]
        self.setMetadata(.signatures, try metadata.serializedBytes())

        var lastConfigMetadata = Common_Metadata()
        lastConfigMetadata.value = try last.serializedBytes()
        self.setMetadata(.lastConfig, try lastConfigMetadata.serializedBytes())
    }

    /// What each orderer signed of this block.
    ///
    /// A signature whose signer can't be told (unknown consenter, unreadable header) is left out.
    ///
    /// - Parameter consenters: The channel's consenters by identifier, or `nil` if the channel's capabilities
    ///   don't allow signatures that name their signer that way.
    /// - Returns: The signatures with their signers, in the block's order.
    /// - Throws: ``MalformedBlock`` if the signatures' slot can't be read.
    package func signatureSet(consenters: [UInt32: Common_Consenter]?) throws(MalformedBlock) -> [SignedData]
    {
        let metadata = try self.ordererMetadata().metadata
        let header = self.header.der
        return metadata.signatures.compactMap { signature in
            if let consenters, signature.signatureHeader.isEmpty, !signature.identifierHeader.isEmpty {
                return signature.signedData(value: metadata.value, header: header, consenters: consenters)
            }
            guard
                let signer = try? Common_SignatureHeader(serializedBytes: signature.signatureHeader)
            else { return nil }
            return SignedData(
                data: metadata.value + signature.signatureHeader + header,
                identity: signer.creator,
                signature: signature.signature
            )
        }
    }

    /// Checks the orderers' signatures against the channel's BlockValidation policy.
    ///
    /// - Parameter configuration: The configuration in force before this block.
    /// - Throws: ``MalformedBlock`` if there are no readable signatures, ``PolicyFailure`` if they don't suffice.
    package func verifySignatures(under configuration: ChannelConfiguration) throws {
        let consenters: [UInt32: Common_Consenter]? =
            configuration.capabilities.identifiesBlockSignersByConsenter
            ? Dictionary(
                (configuration.orderer?.consenters ?? []).map { ($0.id, $0) },
                uniquingKeysWith: { first, _ in first }
            ) : nil
        try configuration.policies.evaluate(
            "/Channel/Orderer/BlockValidation",
            self.signatureSet(consenters: consenters)
        )
    }
}

extension Common_MetadataSignature {
    fileprivate func signedData(
        value: Data,
        header: Data,
        consenters: [UInt32: Common_Consenter]
    ) -> SignedData? {
        guard let identifier = try? Common_IdentifierHeader(serializedBytes: self.identifierHeader),
            let consenter = consenters[identifier.identifier]
        else { return nil }
        var identity = Msp_SerializedIdentity()
        identity.mspid = consenter.mspID
        identity.idBytes = consenter.identity
        guard let serialized: Data = try? identity.serializedBytes() else { return nil }
        return SignedData(
            data: value + self.identifierHeader + header,
            identity: serialized,
            signature: self.signature
        )
    }
}
