// CertificateAuthority: identities from a local root key, with no network and no server.
//
// One folder holds one organization: its two certificate authorities (enrollment and TLS), the register of what
// they issued, and the MSP and TLS folders to copy to the machines that use them, all in Fabric's layout:
//
//     authority.json           who the organization is
//     register.json            every certificate issued, renewed or revoked
//     ca/ tlsca/               certificate and private key of each authority: keep them offline
//     msp/                     what other organizations need to know: put it into the channel's configuration
//     peers/NAME/{msp,tls}     orderers/ and users/ likewise: copy each to its machine
//     superseded/              folders that a renewal replaced
//
// The module also reads MSP folders, of its own making or Fabric's: `MSPFolder`.
