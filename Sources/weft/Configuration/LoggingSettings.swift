import Foundation
import Glibc
import Operations

/// How much a node logs, and how it looks.
///
/// ```yaml
/// logging:
///   spec: info:gossip=debug      # Fabric's logging specification
///   format: json                 # or logfmt, or a layout with Fabric's verbs
/// ```
///
/// The environment (`FABRIC_LOGGING_SPEC`, `FABRIC_LOGGING_FORMAT`) wins over the file, as in Fabric, and the flag
/// `--log-level` over both.
struct LoggingSettings: Equatable {
    static let specificationVariable = "FABRIC_LOGGING_SPEC"
    static let formatVariable = "FABRIC_LOGGING_FORMAT"

    var specification: String?
    var format: String?

    init() {}

    init(_ section: ConfigurationSection) throws(ConfigurationError) {
        try section.allow(keys: ["spec", "format"])
        self.specification = try section.optionalValue("spec", expected: "a logging specification") { $0 }
        self.format = try section.optionalValue("format", expected: "json or a layout") { $0 }
        do {
            _ = try LogSpecification(self.specification ?? "")
        } catch {
            throw section.error("spec", error.description)
        }
        do {
            _ = try LogFormat(self.format ?? "json")
        } catch {
            throw section.error("format", error.description)
        }
    }

    /// Begins the logs of this process.
    ///
    /// - Parameters:
    ///   - environment: Where variables are looked up.
    ///   - level: What a flag asks for.
    /// - Returns: What makes loggers.
    /// - Throws: ``Failure`` when a variable can't be used.
    func logging(environment: [String: String], level: LogLevel? = nil) throws(Failure) -> NodeLogging {
        let specification: LogSpecification
        do {
            let text = [environment[Self.specificationVariable], self.specification].compactMap(\.self)
                .first { !$0.isEmpty }
            specification = try level?.specification ?? LogSpecification(text ?? "")
        } catch {
            throw Failure("\(Self.specificationVariable): \(error)", code: .configuration)
        }
        let text = [environment[Self.formatVariable], self.format].compactMap(\.self).first { !$0.isEmpty }
        do {
            let format = try text.map { text throws(LogFormat.Invalid) in try LogFormat(text) }
            return NodeLogging(
                specification: specification,
                format: format ?? .standard(colors: isatty(2) == 1)
            )
        } catch {
            throw Failure("\(Self.formatVariable): \(error)", code: .configuration)
        }
    }
}

extension LogLevel {
    fileprivate var specification: LogSpecification {
        get throws(LogSpecification.Invalid) {
            switch self {
            case .trace: try LogSpecification("payload")
            default: try LogSpecification(self.rawValue)
            }
        }
    }
}
