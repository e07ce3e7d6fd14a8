/*
 * proc_cpuinfo.c: /proc/cpuinfo, from the cpuid instruction: what the guest's own cpuid tells, too.
 * Feature names in Linux's order: arch/x86/include/asm/cpufeatures.h, arch/x86/kernel/cpu/proc.c.
 */
#include <cpuid.h>
#include <string.h>

#include "sentry/fs/proc/internal.h"
#include "sentry/kernel/kernel.h"

struct feature {
    uint32_t leaf, subleaf;
    int reg; /* 0 eax, 1 ebx, 2 ecx, 3 edx */
    int bit;
    const char *name;
};

#define EDX1(b, n)                                                                                 \
    {                                                                                              \
        1, 0, 3, b, n                                                                              \
    }
#define ECX1(b, n)                                                                                 \
    {                                                                                              \
        1, 0, 2, b, n                                                                              \
    }
#define EXTD(b, n)                                                                                 \
    {                                                                                              \
        0x80000001, 0, 3, b, n                                                                     \
    }
#define EXTC(b, n)                                                                                 \
    {                                                                                              \
        0x80000001, 0, 2, b, n                                                                     \
    }
#define EBX7(b, n)                                                                                 \
    {                                                                                              \
        7, 0, 1, b, n                                                                              \
    }
#define ECX7(b, n)                                                                                 \
    {                                                                                              \
        7, 0, 2, b, n                                                                              \
    }
#define EDX7(b, n)                                                                                 \
    {                                                                                              \
        7, 0, 3, b, n                                                                              \
    }
#define EAX71(b, n)                                                                                \
    {                                                                                              \
        7, 1, 0, b, n                                                                              \
    }
#define XSAVE(b, n)                                                                                \
    {                                                                                              \
        0xd, 1, 0, b, n                                                                            \
    }

static const struct feature features[] = {
    EDX1(0, "fpu"),
    EDX1(1, "vme"),
    EDX1(2, "de"),
    EDX1(3, "pse"),
    EDX1(4, "tsc"),
    EDX1(5, "msr"),
    EDX1(6, "pae"),
    EDX1(7, "mce"),
    EDX1(8, "cx8"),
    EDX1(9, "apic"),
    EDX1(11, "sep"),
    EDX1(12, "mtrr"),
    EDX1(13, "pge"),
    EDX1(14, "mca"),
    EDX1(15, "cmov"),
    EDX1(16, "pat"),
    EDX1(17, "pse36"),
    EDX1(19, "clflush"),
    EDX1(23, "mmx"),
    EDX1(24, "fxsr"),
    EDX1(25, "sse"),
    EDX1(26, "sse2"),
    EDX1(27, "ss"),
    EDX1(28, "ht"),
    EXTD(11, "syscall"),
    EXTD(20, "nx"),
    EXTD(22, "mmxext"),
    EXTD(25, "fxsr_opt"),
    EXTD(26, "pdpe1gb"),
    EXTD(27, "rdtscp"),
    EXTD(29, "lm"),
    ECX1(0, "pni"),
    ECX1(1, "pclmulqdq"),
    ECX1(3, "monitor"),
    ECX1(9, "ssse3"),
    ECX1(12, "fma"),
    ECX1(13, "cx16"),
    ECX1(17, "pcid"),
    ECX1(19, "sse4_1"),
    ECX1(20, "sse4_2"),
    ECX1(21, "x2apic"),
    ECX1(22, "movbe"),
    ECX1(23, "popcnt"),
    ECX1(24, "tsc_deadline_timer"),
    ECX1(25, "aes"),
    ECX1(26, "xsave"),
    ECX1(28, "avx"),
    ECX1(29, "f16c"),
    ECX1(30, "rdrand"),
    ECX1(31, "hypervisor"),
    EXTC(0, "lahf_lm"),
    EXTC(4, "cr8_legacy"),
    EXTC(5, "abm"),
    EXTC(6, "sse4a"),
    EXTC(7, "misalignsse"),
    EXTC(8, "3dnowprefetch"),
    EXTC(11, "xop"),
    EXTC(16, "fma4"),
    EXTC(22, "topoext"),
    EBX7(0, "fsgsbase"),
    EBX7(1, "tsc_adjust"),
    EBX7(3, "bmi1"),
    EBX7(4, "hle"),
    EBX7(5, "avx2"),
    EBX7(7, "smep"),
    EBX7(8, "bmi2"),
    EBX7(9, "erms"),
    EBX7(10, "invpcid"),
    EBX7(11, "rtm"),
    EBX7(14, "mpx"),
    EBX7(16, "avx512f"),
    EBX7(17, "avx512dq"),
    EBX7(18, "rdseed"),
    EBX7(19, "adx"),
    EBX7(20, "smap"),
    EBX7(21, "avx512ifma"),
    EBX7(23, "clflushopt"),
    EBX7(24, "clwb"),
    EBX7(28, "avx512cd"),
    EBX7(29, "sha_ni"),
    EBX7(30, "avx512bw"),
    EBX7(31, "avx512vl"),
    XSAVE(0, "xsaveopt"),
    XSAVE(1, "xsavec"),
    XSAVE(2, "xgetbv1"),
    XSAVE(3, "xsaves"),
    EAX71(4, "avx_vnni"),
    EAX71(5, "avx512_bf16"),
    ECX7(1, "avx512vbmi"),
    ECX7(2, "umip"),
    ECX7(3, "pku"),
    ECX7(4, "ospke"),
    ECX7(6, "avx512_vbmi2"),
    ECX7(8, "gfni"),
    ECX7(9, "vaes"),
    ECX7(10, "vpclmulqdq"),
    ECX7(11, "avx512_vnni"),
    ECX7(12, "avx512_bitalg"),
    ECX7(14, "avx512_vpopcntdq"),
    ECX7(16, "la57"),
    ECX7(22, "rdpid"),
    ECX7(25, "cldemote"),
    ECX7(27, "movdiri"),
    ECX7(28, "movdir64b"),
    EDX7(4, "fsrm"),
    EDX7(8, "avx512_vp2intersect"),
    EDX7(10, "md_clear"),
    EDX7(14, "serialize"),
    EDX7(22, "amx_bf16"),
    EDX7(23, "avx512_fp16"),
    EDX7(24, "amx_tile"),
    EDX7(25, "amx_int8"),
    EDX7(29, "arch_capabilities"),
};

static bool has_feature(const struct feature *feature)
{
    uint32_t regs[4];
    if (!__get_cpuid_count(feature->leaf, feature->subleaf, &regs[0], &regs[1], &regs[2],
                           &regs[3])) {
        return false;
    }
    return (regs[feature->reg] >> feature->bit & 1) != 0;
}

struct processor {
    char vendor[13];
    char brand[49];
    unsigned family, model, stepping, cache_kb, clflush, physical_bits, virtual_bits, level;
    unsigned mhz;
    struct text flags;
};

static void read_brand(struct processor *p)
{
    uint32_t words[12] = {0};
    for (uint32_t i = 0; i < 3; i++) {
        if (!__get_cpuid(0x80000002 + i, &words[i * 4], &words[i * 4 + 1], &words[i * 4 + 2],
                         &words[i * 4 + 3])) {
            return;
        }
    }
    char brand[49] = {0};
    memcpy(brand, words, sizeof(words));
    size_t skip = strspn(brand, " ");
    memcpy(p->brand, brand + skip, sizeof(p->brand) - skip);
}

/* The largest cache that leaf 4 (Intel) or 0x8000001d (AMD) tells of. */
static unsigned read_cache_kb(uint32_t leaf)
{
    unsigned best = 0;
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t a, b, c, d;
        if (!__get_cpuid_count(leaf, i, &a, &b, &c, &d) || (a & 31) == 0) {
            break;
        }
        uint64_t size = (uint64_t)((b >> 22) + 1) * ((b >> 12 & 1023) + 1) * ((b & 4095) + 1) *
                        ((uint64_t)c + 1);
        best = max_of(best, (unsigned)(size / 1024));
    }
    return best;
}

static void read_processor(struct processor *p)
{
    uint32_t a = 0, b = 0, c = 0, d = 0;
    memset(p, 0, sizeof(*p));
    ignore_result(__get_cpuid(0, &a, &b, &c, &d));
    p->level = a;
    memcpy(p->vendor, &b, 4);
    memcpy(p->vendor + 4, &d, 4);
    memcpy(p->vendor + 8, &c, 4);
    ignore_result(__get_cpuid(1, &a, &b, &c, &d));
    p->stepping = a & 15;
    p->model = a >> 4 & 15;
    p->family = a >> 8 & 15;
    if (p->family == 15) {
        p->family += a >> 20 & 255;
    }
    if (p->family >= 6) {
        p->model |= (a >> 16 & 15) << 4;
    }
    p->clflush = (b >> 8 & 255) * 8;
    p->physical_bits = 36;
    p->virtual_bits = 48;
    if (__get_cpuid(0x80000008, &a, &b, &c, &d)) {
        p->physical_bits = a & 255;
        p->virtual_bits = a >> 8 & 255;
    }
    if (__get_cpuid(0x16, &a, &b, &c, &d)) {
        p->mhz = a & 0xffff;
    }
    p->cache_kb = max_of(read_cache_kb(4), read_cache_kb(0x8000001d));
    read_brand(p);
    for (size_t i = 0; i < array_size(features); i++) {
        if (has_feature(&features[i])) {
            text_printf(&p->flags, "%s%s", p->flags.length > 0 ? " " : "", features[i].name);
        }
    }
}

int proc_show_cpuinfo(struct proc_node *node, struct text *out)
{
    struct processor p;
    unsigned count = max_of(kernel.cpu_count, 1U);
    (void)node;
    read_processor(&p);
    unsigned mhz = p.mhz != 0 ? p.mhz : 2000;
    for (unsigned cpu = 0; cpu < count; cpu++) {
        text_printf(out,
                    "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n"
                    "model name\t: %s\nstepping\t: %u\n",
                    cpu, p.vendor, p.family, p.model, p.brand[0] != 0 ? p.brand : "unknown",
                    p.stepping);
        text_printf(out, "cpu MHz\t\t: %u.000\n", mhz);
        if (p.cache_kb > 0) {
            text_printf(out, "cache size\t: %u KB\n", p.cache_kb);
        }
        text_printf(out,
                    "physical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\n"
                    "apicid\t\t: %u\ninitial apicid\t: %u\n",
                    count, cpu, count, cpu, cpu);
        text_printf(out,
                    "fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\n"
                    "flags\t\t: %s\nbugs\t\t:\n",
                    p.level, text_string(&p.flags));
        text_printf(out,
                    "bogomips\t: %u.00\nclflush size\t: %u\ncache_alignment\t: %u\n"
                    "address sizes\t: %u bits physical, %u bits virtual\npower management:\n\n",
                    mhz * 2, p.clflush, p.clflush, p.physical_bits, p.virtual_bits);
    }
    text_fini(&p.flags);
    return 0;
}
