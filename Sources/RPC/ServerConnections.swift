internal import CGRPC
internal import FoundationEssentials
internal import Synchronization

/// How many connections a server has had.
package struct ConnectionCounts: Sendable, Equatable {
    package var opened: Int
    /// Those of ``opened`` that are no more.
    package var closed: Int

    package init(opened: Int, closed: Int) {
        self.opened = opened
        self.closed = closed
    }
}

/// Counts the connections of one server of core, from what core tells about itself.
///
/// Core says which connections there are. How many there have been is the number of handshakes; a server without TLS has
/// none, so there a connection that begins and ends between two looks isn't counted.
///
/// - Source: gRPC C core, `grpc/grpc.h`, channelz; gRPC proposal A14.
final class ServerConnections: Sendable {
    private struct State {
        var counts = ConnectionCounts(opened: 0, closed: 0)
        /// The largest identifier of a connection seen; identifiers only grow.
        var newest = 0
    }

    /// Core's number for the server; `nil` when it keeps none.
    private let server: Int?
    private let state = Mutex(State())

    private init(server: Int?) { self.server = server }

    /// Two servers that are made at once must not be taken for one another.
    private static let making = Mutex(())

    /// Makes a server, and what counts its connections.
    static func ofServer(_ make: () -> OpaquePointer?) -> (
        server: OpaquePointer?, connections: ServerConnections
    ) {
        Self.making.withLock { _ in
            let server = make()
            // Core numbers servers in order.
            return (server, ServerConnections(server: Self.servers().max()))
        }
    }

    /// The counts now.
    ///
    /// - Parameter handshakes: How many handshakes there have been; `nil` without TLS.
    /// - Returns: How many connections there have been, and how many of them are no more.
    func counts(handshakes: Int?) -> ConnectionCounts {
        let present = self.server.map(Self.connections) ?? []
        return self.state.withLock { state in
            let new = present.filter { $0 > state.newest }
            state.newest = max(state.newest, new.max() ?? 0)
            state.counts.opened = max(handshakes ?? state.counts.opened + new.count, state.counts.opened)
            // A handshake that isn't over is no connection yet: it counts as closed for so long.
            state.counts.closed = max(state.counts.closed, state.counts.opened - present.count)
            return state.counts
        }
    }

    // MARK: - What core tells

    /// A page of channelz, as far as it is needed; numbers come as texts.
    private struct Page: Decodable {
        struct Server: Decodable {
            struct Reference: Decodable { var serverId: String }
            var ref: Reference
        }
        struct Socket: Decodable { var socketId: String }
        var server: [Server]?
        var socketRef: [Socket]?
        var end: Bool?
    }

    private static func servers() -> [Int] {
        Self.all({ grpc_channelz_get_servers($0) }, { $0.server?.map(\.ref.serverId) })
    }

    private static func connections(of server: Int) -> [Int] {
        Self.all({ grpc_channelz_get_server_sockets(server, $0, 1000) }, { $0.socketRef?.map(\.socketId) })
    }

    /// The identifiers on all pages.
    private static func all(
        _ page: (Int) -> UnsafeMutablePointer<CChar>?,
        _ identifiers: (Page) -> [String]?
    ) -> [Int] {
        var all: [Int] = []
        while let text = page((all.last ?? 0) + 1) {
            defer { gpr_free(text) }
            let bytes = Data(bytes: text, count: strlen(text))
            guard let page = try? JSONDecoder().decode(Page.self, from: bytes) else { break }
            let found = (identifiers(page) ?? []).compactMap { Int($0) }
            all += found
            if page.end == true || found.isEmpty { break }
        }
        return all
    }
}
