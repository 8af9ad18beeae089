import Channel
import FabricProtos
import Foundation
import Operations
import SwiftProtobuf
import TestSupport
import Testing

@testable import Orderer

/// Answers of the channel participation API, as recorded from Fabric's orderer where that has one.
@Suite struct ParticipationAPITests {
    private let channels = "/participation/v1/channels"
    let network: TestNetwork

    init() throws { self.network = try TestNetwork() }

    @Test("the list of channels is null when there are none, and otherwise has names and addresses")
    func lists() async throws {
        let node = try TestRegistrar(self.network)
        let api = node.api()
        let nothing = await api.get(self.channels)
        #expect(nothing.status == 200)
        #expect(nothing.text == "{\"systemChannel\":null,\"channels\":null}\n")
        #expect(nothing.fields["Content-Type"] == "application/json")
        #expect(nothing.fields["Cache-Control"] == "no-store")
        #expect(try await api.join(self.network.genesis).status == 201)
        let one = "{\"name\":\"trade\",\"url\":\"/participation/v1/channels/trade\"}"
        #expect(await api.get(self.channels).text == "{\"systemChannel\":null,\"channels\":[\(one)]}\n")
        try await node.end()
    }

    @Test("a channel is joined, told about, read, removed, and joined again")
    func goesThroughALife() async throws {
        let node = try TestRegistrar(self.network)
        let api = node.api()
        let info =
            "{\"name\":\"trade\",\"url\":\"/participation/v1/channels/trade\",\"consensusRelation\":\"consenter\","
            + "\"status\":\"active\",\"height\":1}\n"
        let joined = try await api.join(self.network.genesis)
        #expect(joined.status == 201)
        #expect(joined.text == info)
        #expect(joined.fields["Location"] == "/participation/v1/channels/trade")
        let again = try await api.join(self.network.genesis)
        #expect(again.status == 405)
        #expect(again.fields["Allow"] == "GET, DELETE")
        #expect(again.text.hasPrefix("{\"error\":\"cannot join: channel already exists"))
        let told = await api.get("\(self.channels)/trade")
        #expect(told.status == 200 && told.text == info)
        #expect(told.fields["Cache-Control"] == "no-store")

        for block in ["oldest", "newest", "config", "0"] {
            let answer = await api.get("\(self.channels)/trade/blocks/\(block)")
            #expect(answer.status == 200)
            #expect(answer.fields["Content-Type"] == "application/octet-stream")
            #expect(try Common_Block(serializedBytes: answer.body).header.number == 0)
        }
        for block in ["1", "99999999999", "-1"] {
            #expect(await api.get("\(self.channels)/trade/blocks/\(block)").status == 404)
        }
        #expect(await api.get("\(self.channels)/trade/blocks/latest").status == 400)
        #expect(await api.get("\(self.channels)/trade/blocks/18446744073709551616").status == 400)

        let removed = await api.send("DELETE", "\(self.channels)/trade")
        #expect(removed.status == 204 && removed.body.isEmpty)
        try await node.gone("trade")
        #expect(await api.send("DELETE", "\(self.channels)/trade").status == 404)
        #expect(await api.get("\(self.channels)/trade").status == 404)
        #expect(try await api.join(self.network.genesis).status == 201)
        try await node.end()
    }

    @Test("a configuration update is ordered, and answered with the new height")
    func updates() async throws {
        let node = try TestRegistrar(self.network, genesisBlocks: [self.network.genesis])
        let api = node.api()
        let channel = try #require(node.registrar.channels["trade"])
        await channel.opened()
        let update = try self.network.batchSizeUpdate(from: channel.configuration.config, maxMessageCount: 3)
        let answer = try await api.update(update)
        #expect(answer.status == 201)
        #expect(answer.fields["Location"] == "/participation/v1/channels/trade")
        #expect(answer.text.contains("\"height\":2"))
        #expect(channel.configuration.orderer?.batch.maxMessageCount == 3)

        let replay = try await api.update(update)
        #expect(replay.status == 400)
        #expect(replay.text.contains("cannot update: failed update config of channel trade"))
        #expect(replay.text.contains("/Channel/Orderer/BatchSize"))
        let refused = try await api.update(self.network.envelope("no update"))
        #expect(refused.status == 400)
        #expect(refused.text.contains("invalid config update envelope: bad type"))
        let elsewhere = try self.network.update(
            from: channel.configuration.config,
            channel: ChannelID("elsewhere")
        ) { $0.groups["Orderer"]?.values["BatchSize"]?.value = Data([8, 1]) }
        let unknown = try await api.update(elsewhere)
        #expect(unknown.status == 405)
        #expect(unknown.fields["Allow"] == nil)
        try await node.end()
    }

    @Test("paths, methods and types that the API doesn't have get Fabric's codes")
    func refusesWhatItHasNot() async throws {
        let node = try TestRegistrar(self.network)
        let api = node.api()
        let root = await api.get("/participation/v1/")
        #expect(root.status == 302 && root.fields["Location"] == self.channels)
        for (method, path, allowed) in [
            ("DELETE", self.channels, "GET, POST, PUT"), ("PATCH", "\(self.channels)/a", "GET, DELETE"),
            ("POST", "\(self.channels)/a/blocks/0", "GET"),
        ] {
            let answer = await api.send(method, path)
            #expect(answer.status == 405)
            #expect(answer.fields["Allow"] == allowed)
            #expect(answer.text == "{\"error\":\"invalid request method: \(method)\"}\n")
        }
        for path in [
            "/", "/participation/v2/channels", "\(self.channels)/", "\(self.channels)/a/blocks",
            "\(self.channels)/a/b/c",
        ] {
            #expect(await api.get(path).status == 404)
        }
        for name in [
            "..", "%2e%2e", "a%2fb", "..%2f..%2fetc", "A", "%00", "-a", String(repeating: "a", count: 250),
        ] {
            for method in ["GET", "DELETE"] {
                let answer = await api.send(method, "\(self.channels)/\(name)")
                #expect(answer.status == 400)
                #expect(answer.text.hasPrefix("{\"error\":\"invalid channel ID"))
            }
        }
        #expect(await api.get(self.channels, accept: "text/html").status == 406)
        for type in ["text/html, application/json;q=0.9", "*/*", "application/*"] {
            #expect(await api.get(self.channels, accept: type).status == 200)
        }
        let disabled = await node.api(isEnabled: false).get(self.channels)
        #expect(disabled.status == 503)
        #expect(disabled.text == "{\"error\":\"channel participation API is disabled\"}\n")
        try await node.end()
    }

    @Test("bodies that are no join are 400, and nothing is joined")
    func refusesBodies() async throws {
        let node = try TestRegistrar(self.network)
        let api = node.api()
        let type = "multipart/form-data; boundary=limit"
        let block: Data = try self.network.genesis.serializedBytes()
        var damaged = self.network.genesis
        damaged.header.dataHash = Data(repeating: 0, count: 32)
        var bare = self.network.genesis
        bare.clearMetadata()
        let normal = Common_Block.next(after: nil, envelopes: [try self.network.envelope().serializedBytes()])
        for (body, type, reason) in [
            (block, "application/octet-stream", "unsupported Content-Type"),
            (block, nil, "unsupported Content-Type"),
            (block, "multipart/form-data", "cannot read form"),
            (block, type, "cannot read form"),
            (form([("block", "config.block", block)]), type, "does not contains part key: config-block"),
            (form([("config-block", nil, block)]), type, "does not contains part key: config-block"),
            (form([("config-block", "a", block), ("b", nil, Data())]), type, "too many parts"),
            (form([("config-block", "a", block), ("config-block", "b", block)]), type, "too many parts"),
            (form([("config-block", "a", Data([0xff]))]), type, "cannot unmarshal"),
            (form([("config-block", "a", Data())]), type, "invalid join block: block is not a config block"),
            (
                form([("config-block", "a", try normal.serializedBytes())]), type,
                "block is not a config block"
            ),
            (form([("config-block", "a", try bare.serializedBytes())]), type, "does not have metadata"),
            (form([("config-block", "a", try damaged.serializedBytes())]), type, "Header.DataHash"),
        ] as [(Data, String?, String)] {
            let answer = await api.send("POST", self.channels, contentType: type, body: body)
            #expect(answer.status == 400)
            #expect(answer.text.contains(reason), "\(answer.text)")
        }
        #expect(node.registrar.names.isEmpty)
        try await node.end()
    }

    @Test("mutated blocks are joined or refused, and the node goes on")
    func survivesMutations() async throws {
        let node = try TestRegistrar(self.network)
        let api = node.api()
        let block: Data = try self.network.genesis.serializedBytes()
        var random = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            var bytes = block
            let index = Int.random(in: 0..<bytes.count, using: &random)
            bytes[bytes.startIndex + index] ^= UInt8.random(in: 1...255, using: &random)
            let answer = await api.send(
                "POST",
                self.channels,
                contentType: "multipart/form-data; boundary=limit",
                body: form([("config-block", "config.block", bytes)])
            )
            #expect([201, 400, 405].contains(answer.status), "byte \(index): \(answer.text)")
            for name in node.registrar.names {
                try await node.registrar.remove(name)
                try await node.gone(name)
            }
        }
        #expect(try await api.join(self.network.genesis).status == 201)
        try await node.end()
    }
}
