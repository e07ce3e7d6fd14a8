/* landlock_file.h: rulesets as descriptors. Source: landlock_create_ruleset(2). */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/vfs/landlock.h"

struct file;
struct cred;

/* Takes the ruleset, in every case. */
int landlock_file_new(struct landlock_ruleset *ruleset, struct file **ret_file) must_check;
bool landlock_file_is(const struct file *file);
int landlock_file_allow_inode(struct file *file, struct inode *inode, uint64_t rights) must_check;
int landlock_file_allow_port(struct file *file, uint64_t port, uint64_t rights) must_check;
int landlock_file_restrict(struct file *file, struct cred *cred) must_check;
