// Cryptography: hashes, keys, signatures, certificates and revocation lists.
//
// The only door to OpenSSL 3. Keys and digests are OpenSSL's; the structure of certificates is read with
// swift-asn1, whose DER is as strict as Go's `encoding/asn1`, since peers must agree on which certificates
// are well formed.
//
// Every type here is immutable after its initializer and may be used from any number of threads at once.
