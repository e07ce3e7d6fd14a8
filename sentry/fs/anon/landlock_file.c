/* landlock_file.c: see landlock_file.h. The lock serialises changes of the ruleset. */
#include "sentry/fs/anon/landlock_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "sentry/vfs/file.h"

struct ruleset_file {
    struct mutex lock;
    struct landlock_ruleset *ruleset; /* under lock */
};

static void ruleset_release(struct file *file)
{
    struct ruleset_file *own = file->private_data;
    landlock_ruleset_free(own->ruleset);
    mutex_fini(&own->lock);
    free(own);
}

static const struct file_ops ruleset_ops = {
    .release = ruleset_release,
    .anon_name = "[landlock-ruleset]",
};

int landlock_file_new(struct landlock_ruleset *ruleset, struct file **ret_file)
{
    struct ruleset_file *own = calloc(1, sizeof(*own));
    if (!own) {
        landlock_ruleset_free(ruleset);
        return -ENOMEM;
    }
    mutex_init(&own->lock, RANK_OBJECT);
    own->ruleset = ruleset;
    int result = file_new_anon(&ruleset_ops, 0600, FILE_READ | FILE_WRITE | FILE_STREAM, O_RDWR,
                               own, ret_file);
    if (result != 0) {
        landlock_ruleset_free(ruleset);
        mutex_fini(&own->lock);
        free(own);
    }
    return result;
}

bool landlock_file_is(const struct file *file)
{
    return file->ops == &ruleset_ops;
}

int landlock_file_allow_inode(struct file *file, struct inode *inode, uint64_t rights)
{
    struct ruleset_file *own = file->private_data;
    mutex_lock(&own->lock);
    int result = landlock_allow_inode(own->ruleset, inode, rights);
    mutex_unlock(&own->lock);
    return result;
}

int landlock_file_allow_port(struct file *file, uint64_t port, uint64_t rights)
{
    struct ruleset_file *own = file->private_data;
    mutex_lock(&own->lock);
    int result = landlock_allow_port(own->ruleset, port, rights);
    mutex_unlock(&own->lock);
    return result;
}

int landlock_file_restrict(struct file *file, struct cred *cred)
{
    struct ruleset_file *own = file->private_data;
    mutex_lock(&own->lock);
    int result = landlock_restrict(cred, own->ruleset);
    mutex_unlock(&own->lock);
    return result;
}
