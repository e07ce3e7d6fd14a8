/*
 * environment.c: PATH, HOME, USER, locale, TERM and TZ; then what --env asks for.
 */
#include "runtime/environment.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

struct environment {
    char **entries;
    size_t count;
    bool failed;
};

/* Replaces or appends "K=V"; takes entry. */
static void put(struct environment *env, char *entry)
{
    if (entry == NULL) {
        env->failed = true;
        return;
    }
    size_t name = strcspn(entry, "=") + 1;
    for (size_t i = 0; i < env->count; i++) {
        if (strncmp(env->entries[i], entry, name) == 0) {
            free(env->entries[i]);
            env->entries[i] = entry;
            return;
        }
    }
    char **grown = reallocarray(env->entries, env->count + 2, sizeof(*grown));
    if (grown == NULL) {
        env->failed = true;
        free(entry);
        return;
    }
    grown[env->count++] = entry;
    grown[env->count] = NULL;
    env->entries = grown;
}

static void put_pair(struct environment *env, const char *name, const char *value)
{
    char *entry = NULL;
    if (asprintf(&entry, "%s=%s", name, value) < 0) {
        entry = NULL;
    }
    put(env, entry);
}

static void put_host(struct environment *env, const char *name)
{
    const char *value = getenv(name);
    if (value != NULL) {
        put_pair(env, name, value);
    }
}

static void put_defaults(struct environment *env, const struct run_options *options)
{
    static const char standard_path[] =
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    static const char *const passed[] = {"LANG", "LANGUAGE", "TERM", "COLORTERM",
                                         "TZ",   "COLUMNS",  "LINES"};
    const char *path = options->rootfs == NULL ? getenv("PATH") : NULL;
    put_pair(env, "PATH", path != NULL && path[0] != 0 ? path : standard_path);

    struct passwd *entry = options->rootfs == NULL ? getpwuid(options->uid) : NULL;
    const char *user = options->uid == 0 ? "root" : entry != NULL ? entry->pw_name : "user";
    const char *home = "/";
    if (options->uid == 0) {
        home = "/root";
    } else if (entry != NULL && strncmp(entry->pw_dir, "/home/", 6) == 0) {
        home = entry->pw_dir;
    } else {
        home = "/tmp";
    }
    put_pair(env, "HOME", home);
    put_pair(env, "USER", user);
    put_pair(env, "LOGNAME", user);
    for (size_t i = 0; i < array_size(passed); i++) {
        put_host(env, passed[i]);
    }
    for (char **e = environ; e != NULL && *e != NULL; e++) {
        if (strncmp(*e, "LC_", 3) == 0 && strchr(*e, '=') != NULL) {
            put(env, strdup(*e));
        }
    }
}

char **environment_build(const struct run_options *options)
{
    struct environment env = {0};
    if (!options->clear_env) {
        put_defaults(&env, options);
    }
    for (size_t i = 0; i < options->env_count; i++) {
        if (strchr(options->env[i], '=') != NULL) {
            put(&env, strdup(options->env[i]));
        } else {
            put_host(&env, options->env[i]);
        }
    }
    if (env.entries == NULL) {
        env.entries = calloc(1, sizeof(*env.entries));
    }
    return env.failed ? NULL : env.entries;
}
