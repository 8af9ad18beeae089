#pragma once
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

// Swift cannot call variadic C functions.

/// Generates a key on a named curve, such as "P-256"; null on failure.
static inline EVP_PKEY *weft_generate_elliptic_curve_key(const char *curve) {
    return EVP_PKEY_Q_keygen(NULL, NULL, "EC", curve);
}

/// Generates an Ed25519 key; null on failure.
static inline EVP_PKEY *weft_generate_ed25519_key(void) {
    return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}
