/*
 * answer_change.c: answers that make, remove and move names.
 *
 * A name is judged where it stands, not its directory: a rule may open one name in a closed
 * directory. What a directory holds must be judged the same before and after a move, else the move
 * is EXDEV and the guest copies, which the policy then sees file by file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gofer/files/session.h"

/* A name that a request is about. */
struct place {
    struct node *dir;
    int dir_fd;
    char name[GOFER_NAME_MAX + 1];
    struct node_verdict verdict;
    bool exists;
    struct statx stat; /* when it exists */
    struct node *node; /* when known */
};

/* Looks at (dir, name), judges it into state (may be NULL) and requires need. */
static int place_get(struct session *session, uint64_t dir, const uint8_t *bytes, size_t length,
                     enum access_need need, uint64_t *state, struct place *ret_place)
{
    struct place *place = ret_place;
    memset(place, 0, sizeof(*place));
    object_name(place->name, bytes, length);
    int error = object_get_dir(session, dir, &place->dir, &place->dir_fd);
    if (error) {
        return error;
    }
    error = node_lookup_stat(place->dir_fd, place->name, &place->stat);
    if (error && error != -ENOENT) {
        return error;
    }
    place->exists = !error;
    uint32_t type = place->exists ? place->stat.stx_mode & S_IFMT : 0;
    error = access_name(session, place->dir, place->name, type, &place->verdict, state);
    if (error) {
        return error;
    }
    if (need == ACCESS_DELETE && !place->exists && place->verdict.access > GOFER_ACCESS_COW) {
        need = ACCESS_WRITE;
    }
    error = access_check(session, place->dir, place->name, &place->verdict, need);
    if (error == -ENOENT && !place->exists) {
        /* A hidden name cannot be made either; ENOENT would blame the directory. */
        return -EACCES;
    }
    if (!error && place->exists) {
        place->node = nodes_find(&session->nodes, place->dir, place->name, length);
        if (place->node && !node_is(place->node, &place->stat)) {
            nodes_detach(&session->nodes, place->node);
            place->node = NULL;
        }
    }
    return error;
}

/* A place for something new. */
static int place_new(struct session *session, uint64_t dir, const uint8_t *bytes, size_t length,
                     struct place *ret_place)
{
    int error = place_get(session, dir, bytes, length, ACCESS_WRITE, NULL, ret_place);
    if (error == -ENOENT && ret_place->exists) {
        error = -EACCES;
    }
    if (!error && ret_place->exists) {
        error = -EEXIST;
    }
    if (!error && session->nodes.count >= session->nodes.limit) {
        error = -ENFILE;
    }
    return error ? error : quota_take_file(session, ret_place->verdict.quotas);
}

static uint32_t allowed_mode(const struct session *session, uint32_t mode, bool directory)
{
    mode &= 07777;
    return directory || session->config->allow_setid ? mode : mode & ~(uint32_t)(S_ISUID | S_ISGID);
}

/* The node and attributes of what was just made at place. */
static int place_made(struct session *session, struct place *place, uint32_t uid, uint32_t gid,
                      struct node **ret_node, struct gofer_attr *ret_attr)
{
    struct statx stat;
    struct node *node;
    int fd;
    int error = node_lookup_stat(place->dir_fd, place->name, &stat);
    if (!error) {
        error = nodes_child(&session->nodes, place->dir, place->name, strlen(place->name), &stat,
                            &node);
    }
    if (error) {
        return error;
    }
    bool chowns =
        (uid != GOFER_NO_ID && uid != stat.stx_uid) || (gid != GOFER_NO_ID && gid != stat.stx_gid);
    if (chowns && session->privileged && nodes_open(&session->nodes, node, &fd) == 0) {
        /* Not every file system or user can: the guest's ids are the sentry's business. */
        ignore_result(fchownat(fd, "", uid, gid, AT_EMPTY_PATH));
    }
    error = object_attr_now(session, node, ret_attr);
    if (error) {
        nodes_release(&session->nodes, node, 1);
        return error;
    }
    *ret_node = node;
    return 0;
}

int answer_create(struct session *session, const struct wire_request *request, void *reply,
                  struct answer *answer)
{
    const struct gofer_create_request *body = request->body;
    struct gofer_create_reply *result = reply;
    struct place place;
    struct node *node;
    int fd;
    if ((body->flags & ~SESSION_OPEN_FLAGS) || (body->flags & O_ACCMODE) == O_ACCMODE) {
        return -EINVAL;
    }
    int error = place_new(session, body->fid, request->tail, body->name_length, &place);
    if (error) {
        return error;
    }
    uint32_t mode = allowed_mode(session, body->mode, false);
    uint64_t flags = (body->flags & ~(uint32_t)O_TRUNC) | O_CREAT | O_EXCL | O_NOCTTY;
    error = node_lookup_open(place.dir_fd, place.name, flags, mode, &fd);
    if (error) {
        quota_give_file(session, place.verdict.quotas);
        return error;
    }
    error = place_made(session, &place, body->uid, body->gid, &node, &result->attr);
    if (error) {
        close(fd);
        return error;
    }
    result->fid = node->id;
    result->result = GOFER_OPEN_FD;
    if (quota_limits_bytes(session, place.verdict.quotas) &&
        (body->flags & O_ACCMODE) != O_RDONLY) {
        /* The mode need not allow a second open: keep this one for the writes to come. */
        result->result = GOFER_OPEN_WRITE_MESSAGE;
        object_keep(session, node, fd);
        fd = -1;
        if ((body->flags & O_ACCMODE) == O_RDWR &&
            object_open_real(session, node, O_RDONLY, &fd) != 0) {
            fd = -1;
        }
    }
    answer->fd = fd;
    return 0;
}

int answer_mkdir(struct session *session, const struct wire_request *request, void *reply,
                 struct answer *answer)
{
    const struct gofer_mkdir_request *body = request->body;
    struct gofer_mkdir_reply *result = reply;
    struct place place;
    struct node *node;
    (void)answer;
    int error = place_new(session, body->fid, request->tail, body->name_length, &place);
    if (error) {
        return error;
    }
    if (mkdirat(place.dir_fd, place.name, allowed_mode(session, body->mode, true))) {
        error = -errno;
        quota_give_file(session, place.verdict.quotas);
        return error;
    }
    error = place_made(session, &place, body->uid, body->gid, &node, &result->attr);
    if (!error) {
        result->fid = node->id;
    }
    return error;
}

int answer_mknod(struct session *session, const struct wire_request *request, void *reply,
                 struct answer *answer)
{
    const struct gofer_mknod_request *body = request->body;
    struct gofer_mknod_reply *result = reply;
    struct place place;
    struct node *node;
    (void)answer;
    uint32_t type = body->mode & S_IFMT;
    if (type != S_IFREG && type != S_IFIFO) {
        return -EPERM;
    }
    int error = place_new(session, body->fid, request->tail, body->name_length, &place);
    if (error) {
        return error;
    }
    if (mknodat(place.dir_fd, place.name, type | allowed_mode(session, body->mode, false), 0)) {
        error = -errno;
        quota_give_file(session, place.verdict.quotas);
        return error;
    }
    error = place_made(session, &place, body->uid, body->gid, &node, &result->attr);
    if (!error) {
        result->fid = node->id;
    }
    return error;
}

int answer_symlink(struct session *session, const struct wire_request *request, void *reply,
                   struct answer *answer)
{
    const struct gofer_symlink_request *body = request->body;
    struct gofer_symlink_reply *result = reply;
    char target[GOFER_TARGET_MAX + 1];
    struct place place;
    struct node *node;
    (void)answer;
    object_name(target, request->tail + body->name_length, body->target_length);
    int error = place_new(session, body->fid, request->tail, body->name_length, &place);
    if (error) {
        return error;
    }
    if (symlinkat(target, place.dir_fd, place.name)) {
        error = -errno;
        quota_give_file(session, place.verdict.quotas);
        return error;
    }
    error = place_made(session, &place, body->uid, body->gid, &node, &result->attr);
    if (!error) {
        result->fid = node->id;
    }
    return error;
}

/* The object that gets a second name: writable itself, and judged the same at the new one. */
static int link_source(struct session *session, struct node *node, const struct place *place)
{
    struct node_verdict verdict;
    if (node->type == S_IFDIR) {
        return -EPERM;
    }
    if (node->mount != place->dir->mount) {
        return -EXDEV;
    }
    int error = access_node(session, node, &verdict);
    if (!error) {
        error = access_check(session, node, NULL, &verdict, ACCESS_WRITE);
    }
    if (!error &&
        (verdict.access != place->verdict.access || verdict.quotas != place->verdict.quotas)) {
        error = -EXDEV;
    }
    if (!error && (!node->key || !node->attached)) {
        error = -ENOENT;
    }
    return error;
}

int answer_link(struct session *session, const struct wire_request *request, void *reply,
                struct answer *answer)
{
    const struct gofer_link_request *body = request->body;
    struct gofer_link_reply *result = reply;
    struct place place;
    struct node *target;
    struct statx stat;
    int parent_fd;
    (void)answer;
    int error = object_get(session, body->target, &target);
    if (!error) {
        error = place_get(session, body->fid, request->tail, body->name_length, ACCESS_WRITE, NULL,
                          &place);
    }
    if (!error && place.exists) {
        error = -EEXIST;
    }
    if (!error) {
        error = link_source(session, target, &place);
    }
    if (!error) {
        error = nodes_open(&session->nodes, target->parent, &parent_fd);
    }
    if (error) {
        return error;
    }
    if (linkat(parent_fd, target->key->name, place.dir_fd, place.name, 0)) {
        return -errno;
    }
    /* Somebody may have changed what the old name leads to: then this is not the wanted object. */
    error = node_lookup_stat(place.dir_fd, place.name, &stat);
    if (!error && !node_is(target, &stat)) {
        ignore_result(unlinkat(place.dir_fd, place.name, 0));
        error = -ESTALE;
    }
    return error ? error : object_attr_now(session, target, &result->attr);
}

/* Before the name of place goes: keeps a known object reachable. Returns bytes to give back at
 * once. */
static uint64_t prepare_removal(struct session *session, struct place *place)
{
    bool last = place->stat.stx_nlink == 1 && S_ISREG(place->stat.stx_mode);
    if (!place->node) {
        return last ? place->stat.stx_size : 0;
    }
    if (nodes_pin(&session->nodes, place->node) == 0) {
        place->node->credit = last;
        ignore_result(access_node(session, place->node, &place->verdict));
        return 0;
    }
    return 0;
}

static void removed(struct session *session, struct place *place, uint64_t bytes)
{
    quota_give_bytes(session, place->verdict.quotas, bytes);
    if (place->stat.stx_nlink == 1 || S_ISDIR(place->stat.stx_mode)) {
        quota_give_file(session, place->verdict.quotas);
    }
    if (place->node) {
        nodes_detach(&session->nodes, place->node);
    }
}

/* The removal failed: the object keeps its name. */
static void not_removed(struct place *place)
{
    if (place->node) {
        place->node->credit = false;
    }
}

int answer_unlink(struct session *session, const struct wire_request *request, void *reply,
                  struct answer *answer)
{
    const struct gofer_unlink_request *body = request->body;
    struct place place;
    (void)reply;
    (void)answer;
    if (body->flags & ~(uint32_t)AT_REMOVEDIR) {
        return -EINVAL;
    }
    int error = place_get(session, body->fid, request->tail, body->name_length, ACCESS_DELETE, NULL,
                          &place);
    if (!error && !place.exists) {
        error = -ENOENT;
    }
    if (error) {
        return error;
    }
    uint64_t bytes = prepare_removal(session, &place);
    if (unlinkat(place.dir_fd, place.name, (int)body->flags)) {
        error = -errno;
        not_removed(&place);
        return error;
    }
    removed(session, &place, bytes);
    return 0;
}

/* May what is at from stand at to? */
static int move_allowed(struct session *session, const struct place *from, const struct place *to,
                        uint32_t flags)
{
    const uint64_t *old_state = session->old_name_state;
    const uint64_t *new_state = session->new_name_state;
    if (from->dir->mount != to->dir->mount || from->verdict.quotas != to->verdict.quotas) {
        return -EXDEV;
    }
    bool directory =
        S_ISDIR(from->stat.stx_mode) || ((flags & RENAME_EXCHANGE) && S_ISDIR(to->stat.stx_mode));
    if (directory && !policy_same_beneath(session->policy, old_state, new_state)) {
        return access_refuse(session, to->dir, to->name, &to->verdict, -EXDEV);
    }
    return 0;
}

static bool same_object(const struct place *a, const struct place *b)
{
    return a->exists && b->exists && a->stat.stx_ino == b->stat.stx_ino &&
           a->stat.stx_dev_major == b->stat.stx_dev_major &&
           a->stat.stx_dev_minor == b->stat.stx_dev_minor;
}

/* The tree of known objects follows a rename that the host made. */
static void moved(struct session *session, struct place *from, struct place *to, uint32_t flags,
                  uint64_t bytes)
{
    if (same_object(from, to)) {
        return; /* Linux: renaming one link of a file onto another does nothing */
    }
    if (flags & RENAME_EXCHANGE) {
        if (to->node) {
            nodes_detach(&session->nodes, to->node);
        }
    } else if (to->exists) {
        removed(session, to, bytes);
    }
    if (from->node) {
        ignore_result(nodes_move(&session->nodes, from->node, to->dir, to->name, strlen(to->name)));
    }
    if (to->node && (flags & RENAME_EXCHANGE)) {
        ignore_result(
            nodes_move(&session->nodes, to->node, from->dir, from->name, strlen(from->name)));
    }
    session->nodes.age++;
}

int answer_rename(struct session *session, const struct wire_request *request, void *reply,
                  struct answer *answer)
{
    const struct gofer_rename_request *body = request->body;
    struct place from;
    struct place to;
    (void)reply;
    (void)answer;
    uint32_t flags = body->flags;
    if (flags != 0 && flags != RENAME_NOREPLACE && flags != RENAME_EXCHANGE) {
        return -EINVAL;
    }
    int error = place_get(session, body->fid, request->tail, body->name_length, ACCESS_DELETE,
                          session->old_name_state, &from);
    if (!error && !from.exists) {
        error = -ENOENT;
    }
    if (!error) {
        error = place_get(session, body->new_fid, request->tail + body->name_length,
                          body->new_name_length, ACCESS_DELETE, session->new_name_state, &to);
        error = error == -ENOENT ? -EACCES : error;
    }
    if (!error && (flags & RENAME_NOREPLACE) && to.exists) {
        error = -EEXIST;
    }
    if (!error && (flags & RENAME_EXCHANGE) && !to.exists) {
        error = -ENOENT;
    }
    if (!error) {
        error = move_allowed(session, &from, &to, flags);
    }
    if (error) {
        return error;
    }
    bool replaces = to.exists && !(flags & RENAME_EXCHANGE) && !same_object(&from, &to);
    uint64_t bytes = replaces ? prepare_removal(session, &to) : 0;
    /* libc's wrapper makes another call when there are no flags. */
    if (syscall(SYS_renameat2, from.dir_fd, from.name, to.dir_fd, to.name, flags)) {
        error = -errno;
        not_removed(&to);
        return error;
    }
    moved(session, &from, &to, flags, bytes);
    return 0;
}
