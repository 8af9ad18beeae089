package import Foundation
package struct SigningIdentity: Sendable { package let serialized: Data; package func sign(_ m: Data) throws -> Data { m } }
