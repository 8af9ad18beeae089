/// The rules of a channel: what bytes are hashed and signed, who may do what, when a transaction is valid.
///
/// Everything here is pure: values in, values out, no file, socket, clock, task or log. Peers, orderers, the
/// certificate authority, tools and clients share it, so that there is one place where a rule is written.
///
/// - `Names`: identifiers that are checked when they are made.
/// - `Blocks`: the block header's bytes and hash, metadata, structure and signatures.
/// - `Transactions`: proposals, endorsed transactions and read-write sets, built and taken apart.
/// - `Membership`: membership service providers, identities, principals.
/// - `Policies`: signature and implicit-meta policies that explain their verdicts.
/// - `Configuration`: a channel's configuration as one checked value.
package enum Channel {}
