/*
 * quota.c: bytes and files that the sandbox has added beneath the quotas' paths.
 *
 * What is counted is growth: sizes of files (holes count in full) and the number of names made.
 * Removing gives back, never below 0, so the host never carries more than the quota on top of what
 * it had. A path may stand under several quotas; each must have room.
 */
#include <errno.h>

#include "gofer/files/session.h"

bool quota_limits_bytes(const struct session *session, uint32_t quotas)
{
    for (size_t i = 0; i < session->policy->quota_count; i++) {
        if ((quotas >> i & 1) && session->policy->quotas[i].bytes != POLICY_UNLIMITED) {
            return true;
        }
    }
    return false;
}

uint64_t quota_bytes_left(const struct session *session, uint32_t quotas)
{
    uint64_t left = POLICY_UNLIMITED;
    for (size_t i = 0; i < session->policy->quota_count; i++) {
        uint64_t limit = session->policy->quotas[i].bytes;
        if ((quotas >> i & 1) && limit != POLICY_UNLIMITED) {
            left = min_of(left, limit - min_of(limit, session->quota_bytes[i]));
        }
    }
    return left;
}

int quota_take_bytes(struct session *session, uint32_t quotas, uint64_t bytes)
{
    if (bytes == 0) {
        return 0;
    }
    if (bytes > quota_bytes_left(session, quotas)) {
        return -EDQUOT;
    }
    for (size_t i = 0; i < session->policy->quota_count; i++) {
        if ((quotas >> i & 1) && session->policy->quotas[i].bytes != POLICY_UNLIMITED) {
            session->quota_bytes[i] += bytes;
        }
    }
    return 0;
}

void quota_give_bytes(struct session *session, uint32_t quotas, uint64_t bytes)
{
    for (size_t i = 0; i < session->policy->quota_count; i++) {
        if (quotas >> i & 1) {
            session->quota_bytes[i] -= min_of(session->quota_bytes[i], bytes);
        }
    }
}

int quota_take_file(struct session *session, uint32_t quotas)
{
    for (size_t i = 0; i < session->policy->quota_count; i++) {
        if ((quotas >> i & 1) && session->quota_files[i] >= session->policy->quotas[i].files) {
            return -EDQUOT;
        }
    }
    for (size_t i = 0; i < session->policy->quota_count; i++) {
        if (quotas >> i & 1) {
            session->quota_files[i]++;
        }
    }
    return 0;
}

void quota_give_file(struct session *session, uint32_t quotas)
{
    for (size_t i = 0; i < session->policy->quota_count; i++) {
        if (quotas >> i & 1) {
            session->quota_files[i] -= session->quota_files[i] > 0;
        }
    }
}
