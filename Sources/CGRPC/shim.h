// gRPC C core as Swift sees it: its headers, and inline functions for what Swift can't spell
// (batches of operations are arrays of unions).
#pragma once
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/string_util.h>
#include <grpc/support/time.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

// Declared here, since glibc shows it only to those who ask for its extensions.
extern int pthread_setname_np(pthread_t thread, const char *name);

/// Gives a thread the name that `top` and debuggers show.
static inline void weft_name_thread(pthread_t thread, const char *name) { pthread_setname_np(thread, name); }

/// Turns off the search for deadlocks in the library that C core has its locks from, which Debian builds with its
/// debugging aids: every lock and unlock took part in it, 2 to 3% of a busy peer's processor time. Other builds don't
/// have it, or not under this name; then there is nothing to do.
///
/// Before core is used for the first time.
static inline void weft_stop_deadlock_detection(void) {
    typedef void (*set_mode)(int);
    set_mode set = (set_mode)dlsym(RTLD_DEFAULT, "_ZN4absl7debian329SetMutexDeadlockDetectionModeENS0_15OnDeadlockCycleE");
    if (set) set(0);  // OnDeadlockCycle::kIgnore
}

/// The bytes of a stream, and of a connection, that may be on their way before anybody reads them.
#define WEFT_WINDOW_BYTES (4 << 20)

static inline void weft_window_end(void *self) { (void)self; }
static inline double weft_window_bytes(void *self, double current) {
    (void)self;
    (void)current;
    return WEFT_WINDOW_BYTES;
}

/// Makes every flow control window WEFT_WINDOW_BYTES wide.
///
/// Core 1.51 has windows of 64 KiB, or such as grow with what it measures: from 4 to 32 MiB for each stream, also for one
/// that nobody reads. No argument limits that. It does ask an object that its tests can set, whenever it is about to
/// change windows; this one always gives the same answer. A build that doesn't know the object keeps core's windows.
///
/// Before core is used for the first time.
static inline void weft_bound_windows(void) {
    // As C++ lays it out: two destructors, then the one question.
    static void *const functions[] = {(void *)weft_window_end, (void *)weft_window_end, (void *)weft_window_bytes};
    static struct { void *const *functions; } windows = {functions};
    void **asked = (void **)dlsym(
        RTLD_DEFAULT, "_ZN9grpc_core6chttp252g_test_only_transport_target_window_estimates_mockerE");
    if (asked) __atomic_store_n(asked, (void *)&windows, __ATOMIC_RELEASE);
}

/// Where core writes while a call runs. One per call, at an address that doesn't change until the call is
/// released.
typedef struct weft_call_slots {
    grpc_metadata_array initial_metadata;   // received
    grpc_metadata_array trailing_metadata;  // received by a client
    grpc_byte_buffer *message;              // received; the owner moves it out
    grpc_byte_buffer *sending;              // kept until the batch that sends it completes
    grpc_slice status_details;              // received by a client
    grpc_status_code status;                // received by a client
    int cancelled;                          // received by a server
    gpr_timespec deadline;                  // received by a server
    grpc_call_details details;              // received by a server, for a method it doesn't know
    grpc_call *call;                        // received by a server
} weft_call_slots;

static inline void weft_call_slots_init(weft_call_slots *slots) {
    memset(slots, 0, sizeof(*slots));
    grpc_metadata_array_init(&slots->initial_metadata);
    grpc_metadata_array_init(&slots->trailing_metadata);
    grpc_call_details_init(&slots->details);
    slots->status_details = grpc_empty_slice();
    slots->status = GRPC_STATUS_UNKNOWN;
}

static inline void weft_call_slots_destroy(weft_call_slots *slots) {
    grpc_metadata_array_destroy(&slots->initial_metadata);
    grpc_metadata_array_destroy(&slots->trailing_metadata);
    grpc_call_details_destroy(&slots->details);
    grpc_slice_unref(slots->status_details);
}

static inline const uint8_t *weft_slice_start(const grpc_slice *slice) { return GRPC_SLICE_START_PTR(*slice); }
static inline size_t weft_slice_length(const grpc_slice *slice) { return GRPC_SLICE_LENGTH(*slice); }

/// What a batch sends. Absent parts are null or zero.
typedef struct weft_outgoing {
    int has_initial_metadata;
    uint32_t initial_metadata_flags;
    grpc_metadata *initial_metadata;
    size_t initial_metadata_count;
    grpc_byte_buffer *message;
    uint32_t message_flags;
    int has_close;
    int has_status;
    grpc_status_code status;
    grpc_slice *status_details;
    grpc_metadata *trailing_metadata;
    size_t trailing_metadata_count;
} weft_outgoing;

static inline size_t weft_fill_outgoing(grpc_op *ops, const weft_outgoing *out) {
    size_t count = 0;
    if (out->has_initial_metadata) {
        ops[count].op = GRPC_OP_SEND_INITIAL_METADATA;
        ops[count].flags = out->initial_metadata_flags;
        ops[count].data.send_initial_metadata.count = out->initial_metadata_count;
        ops[count].data.send_initial_metadata.metadata = out->initial_metadata;
        count++;
    }
    if (out->message) {
        ops[count].op = GRPC_OP_SEND_MESSAGE;
        ops[count].flags = out->message_flags;
        ops[count].data.send_message.send_message = out->message;
        count++;
    }
    if (out->has_close) {
        ops[count].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
        count++;
    }
    if (out->has_status) {
        ops[count].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
        ops[count].data.send_status_from_server.status = out->status;
        ops[count].data.send_status_from_server.status_details = out->status_details;
        ops[count].data.send_status_from_server.trailing_metadata = out->trailing_metadata;
        ops[count].data.send_status_from_server.trailing_metadata_count = out->trailing_metadata_count;
        count++;
    }
    return count;
}

static inline void weft_fill_receive_initial_metadata(grpc_op *op, weft_call_slots *slots) {
    op->op = GRPC_OP_RECV_INITIAL_METADATA;
    op->data.recv_initial_metadata.recv_initial_metadata = &slots->initial_metadata;
}

static inline void weft_fill_receive_message(grpc_op *op, weft_call_slots *slots) {
    op->op = GRPC_OP_RECV_MESSAGE;
    op->data.recv_message.recv_message = &slots->message;
}

static inline void weft_fill_receive_status(grpc_op *op, weft_call_slots *slots) {
    op->op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    op->data.recv_status_on_client.trailing_metadata = &slots->trailing_metadata;
    op->data.recv_status_on_client.status = &slots->status;
    op->data.recv_status_on_client.status_details = &slots->status_details;
}

/// Sends what `out` has, as one batch.
static inline grpc_call_error weft_call_send(grpc_call *call, const weft_outgoing *out, void *tag) {
    grpc_op ops[4];
    memset(ops, 0, sizeof(ops));
    size_t count = weft_fill_outgoing(ops, out);
    return grpc_call_start_batch(call, ops, count, tag, NULL);
}

/// Runs a whole unary call of a client as one batch.
static inline grpc_call_error weft_call_run_unary(
    grpc_call *call, const weft_outgoing *out, weft_call_slots *slots, void *tag
) {
    grpc_op ops[7];
    memset(ops, 0, sizeof(ops));
    size_t count = weft_fill_outgoing(ops, out);
    weft_fill_receive_initial_metadata(&ops[count++], slots);
    weft_fill_receive_message(&ops[count++], slots);
    weft_fill_receive_status(&ops[count++], slots);
    return grpc_call_start_batch(call, ops, count, tag, NULL);
}

static inline grpc_call_error weft_call_receive_initial_metadata(grpc_call *call, weft_call_slots *slots, void *tag) {
    grpc_op op;
    memset(&op, 0, sizeof(op));
    weft_fill_receive_initial_metadata(&op, slots);
    return grpc_call_start_batch(call, &op, 1, tag, NULL);
}

static inline grpc_call_error weft_call_receive_message(grpc_call *call, weft_call_slots *slots, void *tag) {
    grpc_op op;
    memset(&op, 0, sizeof(op));
    weft_fill_receive_message(&op, slots);
    return grpc_call_start_batch(call, &op, 1, tag, NULL);
}

static inline grpc_call_error weft_call_receive_status(grpc_call *call, weft_call_slots *slots, void *tag) {
    grpc_op op;
    memset(&op, 0, sizeof(op));
    weft_fill_receive_status(&op, slots);
    return grpc_call_start_batch(call, &op, 1, tag, NULL);
}

static inline grpc_call_error weft_call_receive_close(grpc_call *call, weft_call_slots *slots, void *tag) {
    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    op.data.recv_close_on_server.cancelled = &slots->cancelled;
    return grpc_call_start_batch(call, &op, 1, tag, NULL);
}

// Arguments of channels and servers. The strings need only live through the creation of the channel or server.

static inline grpc_arg weft_integer_argument(const char *key, int value) {
    grpc_arg argument;
    memset(&argument, 0, sizeof(argument));
    argument.type = GRPC_ARG_INTEGER;
    argument.key = (char *)key;
    argument.value.integer = value;
    return argument;
}

static inline grpc_arg weft_string_argument(const char *key, const char *value) {
    grpc_arg argument;
    memset(&argument, 0, sizeof(argument));
    argument.type = GRPC_ARG_STRING;
    argument.key = (char *)key;
    argument.value.string = (char *)value;
    return argument;
}
