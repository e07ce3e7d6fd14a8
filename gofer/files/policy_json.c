/*
 * policy_json.c: the policy file and the policy options. The only file that includes jansson.
 *
 * Nothing is guessed: an unknown key, a repeated key, a wrong type or a bad value refuses the whole
 * file.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gofer/files/policy.h"

/* A file being read, and the way to the value at hand. */
struct reader {
    struct policy *policy;
    const char *name;
    const char *text;
    size_t length;
    struct policy_locator at;
    struct policy_error *error;
};

static int mistake(struct reader *reader, const char *format, ...) printf_like(2, 3);

static int mistake(struct reader *reader, const char *format, ...)
{
    char what[384];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    unsigned line;
    unsigned column;
    if (policy_locate(reader->text, reader->length, &reader->at, &line, &column)) {
        snprintf(reader->error->text, sizeof(reader->error->text), "%.100s:%u:%u: %s", reader->name,
                 line, column, what);
    } else {
        snprintf(reader->error->text, sizeof(reader->error->text), "%.100s: %s", reader->name,
                 what);
    }
    return -EINVAL;
}

static void enter_key(struct reader *reader, const char *key)
{
    reader->at.keys[reader->at.depth++] = key;
}

static void enter_index(struct reader *reader, size_t index)
{
    reader->at.keys[reader->at.depth] = NULL;
    reader->at.indexes[reader->at.depth++] = index;
}

static void leave(struct reader *reader)
{
    reader->at.depth--;
}

/* Every key of object is in the list (NULL-terminated). */
static int check_keys(struct reader *reader, json_t *object, const char *const *known)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        size_t i = 0;
        while (known[i] && strcmp(known[i], key) != 0) {
            i++;
        }
        if (!known[i]) {
            enter_key(reader, key);
            return mistake(reader, "unknown key \"%.64s\"", key);
        }
    }
    return 0;
}

static int get_string(struct reader *reader, json_t *object, const char *key, bool required,
                      const char **ret_string)
{
    json_t *value = json_object_get(object, key);
    if (!value) {
        return required ? mistake(reader, "\"%s\" is missing", key) : 0;
    }
    if (!json_is_string(value)) {
        enter_key(reader, key);
        return mistake(reader, "\"%s\" must be a string", key);
    }
    *ret_string = json_string_value(value);
    return 0;
}

static int get_amount(struct reader *reader, json_t *object, const char *key, uint64_t *ret_amount)
{
    json_t *value = json_object_get(object, key);
    if (!value) {
        return 0;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        enter_key(reader, key);
        return mistake(reader, "\"%s\" must be a whole number of 0 or more", key);
    }
    *ret_amount = (uint64_t)json_integer_value(value);
    return 0;
}

static int read_rule(struct reader *reader, json_t *object)
{
    static const char *const known[] = {"path", "access", "reason", NULL};
    const char *path = NULL;
    const char *access_name = NULL;
    const char *reason = NULL;
    if (!json_is_object(object)) {
        return mistake(reader, "a rule must be an object");
    }
    int error = check_keys(reader, object, known);
    if (!error) {
        error = get_string(reader, object, "path", true, &path);
    }
    if (!error) {
        error = get_string(reader, object, "access", true, &access_name);
    }
    if (!error) {
        error = get_string(reader, object, "reason", false, &reason);
    }
    if (error) {
        return error;
    }
    enum gofer_access access;
    if (!policy_access_parse(access_name, &access)) {
        enter_key(reader, "access");
        return mistake(reader,
                       "access \"%.32s\" is none of hide, deny, read, cow, no-delete, write",
                       access_name);
    }
    struct policy_error detail;
    error = policy_add_rule(reader->policy, path, access, reason, &detail);
    if (error == -EINVAL) {
        enter_key(reader, "path");
        return mistake(reader, "%.360s", detail.text);
    }
    return error;
}

static int read_quota(struct reader *reader, json_t *object)
{
    static const char *const known[] = {"path", "bytes", "files", NULL};
    const char *path = NULL;
    uint64_t bytes = POLICY_UNLIMITED;
    uint64_t files = POLICY_UNLIMITED;
    if (!json_is_object(object)) {
        return mistake(reader, "a quota must be an object");
    }
    int error = check_keys(reader, object, known);
    if (!error) {
        error = get_string(reader, object, "path", true, &path);
    }
    if (!error) {
        error = get_amount(reader, object, "bytes", &bytes);
    }
    if (!error) {
        error = get_amount(reader, object, "files", &files);
    }
    if (error) {
        return error;
    }
    if (bytes == POLICY_UNLIMITED && files == POLICY_UNLIMITED) {
        return mistake(reader, "a quota needs \"bytes\" or \"files\"");
    }
    struct policy_error detail;
    error = policy_add_quota(reader->policy, path, bytes, files, &detail);
    if (error == -EINVAL) {
        enter_key(reader, "path");
        return mistake(reader, "%.360s", detail.text);
    }
    return error;
}

static int read_array(struct reader *reader, json_t *root, const char *key,
                      int (*read_element)(struct reader *, json_t *))
{
    json_t *array = json_object_get(root, key);
    if (!array) {
        return 0;
    }
    enter_key(reader, key);
    if (!json_is_array(array)) {
        return mistake(reader, "\"%s\" must be an array", key);
    }
    for (size_t i = 0; i < json_array_size(array); i++) {
        enter_index(reader, i);
        int error = read_element(reader, json_array_get(array, i));
        if (error) {
            return error;
        }
        leave(reader);
    }
    leave(reader);
    return 0;
}

static int read_default(struct reader *reader, json_t *root)
{
    const char *name = NULL;
    int error = get_string(reader, root, "default", false, &name);
    if (error || !name) {
        return error;
    }
    enum gofer_access access;
    if (!policy_access_parse(name, &access) || access > GOFER_ACCESS_READ) {
        enter_key(reader, "default");
        return mistake(reader, "default \"%.32s\" is none of hide, deny, read", name);
    }
    reader->policy->default_access = access;
    return 0;
}

static int read_audit(struct reader *reader, json_t *root)
{
    const char *name = NULL;
    int error = get_string(reader, root, "audit", false, &name);
    if (error || !name) {
        return error;
    }
    if (strcmp(name, "all") != 0 && strcmp(name, "denials") != 0) {
        enter_key(reader, "audit");
        return mistake(reader, "audit \"%.32s\" is neither denials nor all", name);
    }
    reader->policy->audit_all = strcmp(name, "all") == 0;
    return 0;
}

static int read_root(struct reader *reader, json_t *root)
{
    static const char *const known[] = {"version", "rules", "quotas", "default", "audit", NULL};
    if (!json_is_object(root)) {
        return mistake(reader, "a policy must be an object");
    }
    int error = check_keys(reader, root, known);
    if (error) {
        return error;
    }
    json_t *version = json_object_get(root, "version");
    if (!version) {
        return mistake(reader, "\"version\" is missing");
    }
    if (!json_is_integer(version) || json_integer_value(version) != 1) {
        enter_key(reader, "version");
        return mistake(reader, "\"version\" must be 1");
    }
    error = read_default(reader, root);
    if (!error) {
        error = read_audit(reader, root);
    }
    if (!error) {
        error = read_array(reader, root, "rules", read_rule);
    }
    if (!error) {
        error = read_array(reader, root, "quotas", read_quota);
    }
    return error;
}

int policy_load_text(struct policy *policy, const char *name, const char *text, size_t length,
                     struct policy_error *ret_error)
{
    json_error_t where;
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
    if (!root) {
        snprintf(ret_error->text, sizeof(ret_error->text), "%.100s:%d:%d: %s", name,
                 max_of(where.line, 1), max_of(where.column, 1), where.text);
        return -EINVAL;
    }
    struct reader reader = {
        .policy = policy, .name = name, .text = text, .length = length, .error = ret_error};
    int error = read_root(&reader, root);
    json_decref(root);
    return error;
}

/* The file's bytes, at most POLICY_FILE_MAX. Returns the length or a negative errno. */
static ssize_t read_whole(const char *path, char **ret_text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return -errno;
    }
    char *text = malloc(POLICY_FILE_MAX + 1);
    ssize_t result = text ? 0 : -ENOMEM;
    size_t length = 0;
    while (result >= 0 && length <= POLICY_FILE_MAX) {
        ssize_t count = read(fd, text + length, POLICY_FILE_MAX + 1 - length);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            result = -errno;
        }
        if (count <= 0) {
            break;
        }
        length += (size_t)count;
    }
    close(fd);
    if (result == 0 && length > POLICY_FILE_MAX) {
        result = -EFBIG;
    }
    if (result < 0) {
        free(text);
        return result;
    }
    *ret_text = text;
    return (ssize_t)length;
}

int policy_load_file(struct policy *policy, const char *path, struct policy_error *ret_error)
{
    auto_free char *text = NULL;
    ssize_t length = read_whole(path, &text);
    if (length < 0) {
        snprintf(ret_error->text, sizeof(ret_error->text), "%.256s: %s", path,
                 strerror((int)-length));
        return (int)length;
    }
    return policy_load_text(policy, path, text, (size_t)length, ret_error);
}

int policy_add_option(struct policy *policy, const char *option, struct policy_error *ret_error)
{
    auto_free char *copy = strdup(option);
    if (!copy) {
        return -ENOMEM;
    }
    char *rest = copy;
    const char *access_name = strsep(&rest, ":");
    const char *path = strsep(&rest, ":");
    enum gofer_access access;
    if (!path || !policy_access_parse(access_name, &access)) {
        snprintf(ret_error->text, sizeof(ret_error->text),
                 "rule \"%.256s\" is not ACCESS:PATH[:REASON] with ACCESS one of hide, deny, read, "
                 "cow, no-delete, write",
                 option);
        return -EINVAL;
    }
    return policy_add_rule(policy, path, access, rest, ret_error);
}

/* "-" or a number with an optional K, M, G, T. */
static bool parse_amount(const char *text, bool suffix, uint64_t *ret_amount)
{
    if (strcmp(text, "-") == 0) {
        *ret_amount = POLICY_UNLIMITED;
        return true;
    }
    if (*text < '0' || *text > '9') {
        return false;
    }
    char *end;
    errno = 0;
    unsigned long long amount = strtoull(text, &end, 10);
    unsigned shift = 0;
    if (*end && suffix) {
        const char *units = "KMGT";
        const char *unit = strchr(units, *end);
        if (!unit) {
            return false;
        }
        shift = 10 * (unsigned)(unit - units + 1);
        end++;
    }
    if (errno || *end || amount > (UINT64_MAX >> 1) >> shift) {
        return false;
    }
    *ret_amount = (uint64_t)amount << shift;
    return true;
}

int policy_add_quota_option(struct policy *policy, const char *option,
                            struct policy_error *ret_error)
{
    auto_free char *copy = strdup(option);
    if (!copy) {
        return -ENOMEM;
    }
    char *rest = copy;
    const char *path = strsep(&rest, ":");
    const char *bytes_text = strsep(&rest, ":");
    uint64_t bytes;
    uint64_t files = POLICY_UNLIMITED;
    if (!bytes_text || !parse_amount(bytes_text, true, &bytes) ||
        (rest && !parse_amount(rest, false, &files))) {
        snprintf(ret_error->text, sizeof(ret_error->text),
                 "quota \"%.256s\" is not PATH:BYTES[:FILES]", option);
        return -EINVAL;
    }
    return policy_add_quota(policy, path, bytes, files, ret_error);
}
