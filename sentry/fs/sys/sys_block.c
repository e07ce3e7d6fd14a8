/* sys_block.c: /sys/block: the loop devices. Source: Linux Documentation/ABI/stable/sysfs-block. */
#include "sentry/fs/dev/loop.h"
#include "sentry/fs/sys/sys_internal.h"

#define SECTOR 512

static uint32_t loop_count(void)
{
    return LOOP_COUNT;
}

static bool is_bound(uint32_t number)
{
    return loop_get_status(number).bound;
}

static void put(struct text *out, uint64_t value)
{
    text_printf(out, "%llu\n", (unsigned long long)value);
}

static void show_size(uint32_t number, struct text *out)
{
    put(out, loop_get_status(number).capacity / SECTOR);
}

static void show_read_only(uint32_t number, struct text *out)
{
    put(out, loop_get_status(number).read_only);
}

static void show_device(uint32_t number, struct text *out)
{
    text_printf(out, "%d:%u\n", LOOP_MAJOR_NUMBER, number);
}

static void show_block_size(uint32_t number, struct text *out)
{
    put(out, loop_get_status(number).block_size);
}

/* Linux: the mask of what an address must be aligned to for direct I/O. */
static void show_alignment(uint32_t number, struct text *out)
{
    put(out, loop_get_status(number).block_size - 1);
}

static void show_zero(uint32_t number, struct text *out)
{
    (void)number;
    text_puts(out, "0\n");
}

static void show_file(uint32_t number, struct text *out)
{
    loop_show_file(number, out);
    text_putc(out, '\n');
}

static void show_auto_clear(uint32_t number, struct text *out)
{
    put(out, loop_get_status(number).auto_clear);
}

static void show_direct(uint32_t number, struct text *out)
{
    put(out, loop_get_status(number).direct);
}

static void show_scans(uint32_t number, struct text *out)
{
    put(out, loop_get_status(number).scans);
}

static void show_offset(uint32_t number, struct text *out)
{
    put(out, loop_get_status(number).offset);
}

static void show_size_limit(uint32_t number, struct text *out)
{
    put(out, loop_get_status(number).size_limit);
}

static const struct sys_entry binding_rows[] = {
    {.name = "autoclear", .show = show_auto_clear},
    {.name = "backing_file", .show = show_file},
    {.name = "dio", .show = show_direct},
    {.name = "offset", .show = show_offset},
    {.name = "partscan", .show = show_scans},
    {.name = "sizelimit", .show = show_size_limit},
    {.name = NULL},
};

static const struct sys_entry queue_rows[] = {
    {.name = "dma_alignment", .show = show_alignment},
    {.name = "hw_sector_size", .show = show_block_size},
    {.name = "logical_block_size", .show = show_block_size},
    {.name = "minimum_io_size", .show = show_block_size},
    {.name = "optimal_io_size", .show = show_zero},
    {.name = "physical_block_size", .show = show_block_size},
    {.name = "rotational", .show = show_zero},
    {.name = NULL},
};

static const struct sys_entry loop_rows[] = {
    {.name = "dev", .show = show_device},
    {.name = "loop", .children = binding_rows, .present = is_bound},
    {.name = "queue", .children = queue_rows},
    {.name = "removable", .show = show_zero},
    {.name = "ro", .show = show_read_only},
    {.name = "size", .show = show_size},
    {.name = NULL},
};

const struct sys_entry sys_block_rows[] = {
    {.name = "loop", .children = loop_rows, .count = loop_count},
    {.name = NULL},
};
