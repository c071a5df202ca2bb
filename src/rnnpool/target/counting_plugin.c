/* QEMU TCG plugin: how often each translated block ran, and how often its last instruction jumped.
 *
 * Output, one line a block: first address, bytes, executions, taken branches at the end (tab separated, hexadecimal
 * addresses). Debian's QEMU ships no qemu-plugin.h; the few prototypes of its API version 1 that are used stand here
 * (QEMU 7.2, "QEMU TCG Plugins", developer documentation). */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, void (*cb)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(
    struct qemu_plugin_tb *tb, void (*cb)(unsigned int, void *), int flags, void *data);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*cb)(qemu_plugin_id_t, void *), void *data);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;
__attribute__((visibility("default"))) int
qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

struct block {
    uint64_t start, end, runs, taken;
    struct block *next;
};

enum { BUCKETS = 1 << 14 };
static struct block *buckets[BUCKETS];
static struct block *previous;
static const char *output_path;

/* QEMU may translate an address again (after a flush, or cut shorter by icount): one entry a (start, end). */
static struct block *find_block(uint64_t start, uint64_t end) {
    struct block **slot = &buckets[(start >> 1) % BUCKETS];
    for (struct block *b = *slot; b; b = b->next) {
        if (b->start == start && b->end == end) {
            return b;
        }
    }
    struct block *fresh = calloc(1, sizeof *fresh);
    if (!fresh) {
        abort();
    }
    fresh->start = start;
    fresh->end = end;
    fresh->next = *slot;
    *slot = fresh;
    return fresh;
}

static void on_run(unsigned int cpu, void *data) {
    (void)cpu;
    struct block *block = data;
    if (previous && previous->end != block->start) {
        previous->taken++;
    }
    block->runs++;
    previous = block;
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    uint64_t start = qemu_plugin_tb_vaddr(tb), end = start;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        end += qemu_plugin_insn_size(qemu_plugin_tb_get_insn(tb, i));
    }
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_run, 0 /* no access to registers */, find_block(start, end));
}

static void on_exit_emulator(qemu_plugin_id_t id, void *data) {
    (void)id;
    (void)data;
    FILE *file = fopen(output_path, "w");
    if (!file) {
        return;
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct block *b = buckets[i]; b; b = b->next) {
            fprintf(file, "%" PRIx64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n", b->start, b->end - b->start, b->runs,
                    b->taken);
        }
    }
    fclose(file);
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "output=", 7) == 0) {
            output_path = argv[i] + 7; /* QEMU keeps its options for the whole run */
        }
    }
    if (!output_path) {
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_atexit_cb(id, on_exit_emulator, NULL);
    return 0;
}
