#pragma once
#include <zlib.h>

// Macros, which Swift doesn't see. 16 asks for gzip's format.
static inline int weft_zlib_begin_gunzip(z_stream *stream) { return inflateInit2(stream, 15 + 16); }
static inline int weft_zlib_begin_gzip(z_stream *stream) {
    return deflateInit2(stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
}
