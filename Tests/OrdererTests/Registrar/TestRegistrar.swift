import Channel
import Cryptography
import FabricProtos
import Foundation
import Logging
import Operations
import SwiftProtobuf
import TestSupport

@testable import Orderer

/// A running registrar on a real folder, and the API in front of it.
struct TestRegistrar: Sendable {
    let network: TestNetwork
    let folder: String
    let registrar: ChannelRegistrar

    /// A new folder for the test that asks for it.
    static func newFolder() -> String {
        FileManager.default.temporaryDirectory.appending(path: "weft-registrar-\(UUID().uuidString)").path
    }

    init(
        _ network: TestNetwork,
        folder: String = newFolder(),
        genesisBlocks: [Common_Block] = [],
        serverKey: PublicKey? = nil
    ) throws {
        self.network = network
        self.folder = folder
        var settings = OrderingChannel.Settings.forTests(network)
        settings.serverKey = { serverKey }
        self.registrar = try ChannelRegistrar(
            folders: ChannelFolders(root: folder),
            settings: settings,
            genesisBlocks: genesisBlocks
        )
        self.registrar.start()
    }

    func api(isEnabled: Bool = true) -> ParticipationAPI {
        var logger = Logger(label: "test")
        logger.handler = SwiftLogNoOpLogHandler()
        return ParticipationAPI(registrar: self.registrar, isEnabled: isEnabled, logger: logger)
    }

    func stop() async {
        self.registrar.stop()
        await self.registrar.finish()
    }

    /// Stops, and deletes the folder.
    func end() async throws {
        await self.stop()
        try FileManager.default.removeItem(atPath: self.folder)
    }

    /// Waits until a channel that is being removed is gone.
    func gone(_ channel: String) async throws {
        while self.registrar.names.contains(channel) { try await Task.sleep(for: .milliseconds(2)) }
    }

    /// Waits until a channel has so many blocks.
    func reached(_ height: BlockNumber, on channel: String) async throws {
        while try self.registrar.info(channel).height < height { try await Task.sleep(for: .milliseconds(2)) }
    }

    /// Orders an envelope and waits until it is in a block.
    func order(_ text: String, on channel: String) async throws -> Orderer_BroadcastResponse {
        guard let channel = self.registrar.channels[channel] else {
            return Refusal.badRequest("no such channel").response
        }
        await channel.opened()
        let envelope = try self.network.envelope(text, channel: channel.id.description)
        do {
            return await channel.order(try channel.check(envelope, EnvelopeHeaders(envelope)))
        } catch let refusal as Refusal {
            return refusal.response
        }
    }
}

extension ParticipationAPI {
    func get(_ path: String, accept: String? = nil) async -> HTTPExchangeResponse {
        await self.send("GET", path, accept: accept)
    }

    func send(
        _ method: String,
        _ path: String,
        accept: String? = nil,
        contentType: String? = nil,
        body: Data = Data()
    ) async -> HTTPExchangeResponse {
        var fields = HTTPFieldList()
        if let accept { fields.append("Accept", accept) }
        if let contentType { fields.append("Content-Type", contentType) }
        return await self.answer(HTTPExchangeRequest(method: method, path: path, fields: fields, body: body))
    }

    /// Posts a block as `osnadmin` does.
    func join(_ block: Common_Block) async throws -> HTTPExchangeResponse {
        await self.send(
            "POST",
            "/participation/v1/channels",
            contentType: "multipart/form-data; boundary=limit",
            body: form([("config-block", "config.block", try block.serializedBytes())])
        )
    }

    func update(_ envelope: Common_Envelope) async throws -> HTTPExchangeResponse {
        await self.send(
            "PUT",
            "/participation/v1/channels",
            contentType: "multipart/form-data; boundary=limit",
            body: form([("config-update-envelope", "update", try envelope.serializedBytes())])
        )
    }
}

extension HTTPExchangeResponse {
    var text: String { String(decoding: self.body, as: UTF8.self) }
}
