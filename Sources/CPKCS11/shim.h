#pragma once
// The C interface of PKCS #11, as p11-kit publishes it. Nothing is linked: the library of a token is opened at run time.
#include <p11-kit/pkcs11.h>
