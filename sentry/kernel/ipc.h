/*
 * ipc.h: System V IPC: shared memory, semaphores, message queues. Sources: sysvipc(7) and the man
 * pages of the calls, Linux ipc/{util,shm,sem,msg}.c.
 *
 * All functions act for the calling task (current). Objects live until they are removed; a removed
 * segment lives on while it is attached. Structures are those of the guest's ABI.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "platform/base/compiler.h"

struct file;
struct task;
struct text;
struct sem_undo_list;

/* /proc/sys/kernel/{shm,msg,sem}*: written through /proc only. */
struct ipc_limits {
    _Atomic uint64_t shm_max, shm_all; /* bytes of one segment; pages of all */
    _Atomic uint64_t shm_mni;
    _Atomic uint64_t msg_max, msg_mnb, msg_mni;
    _Atomic uint64_t sem_msl, sem_mns, sem_opm, sem_mni;
    atomic_int shm_next_id, msg_next_id, sem_next_id; /* -1: none is wanted */
};
extern struct ipc_limits ipc_limits;

#define IPC_MNI_MAX       32768
#define IPC_SEM_VALUE_MAX 32767 /* SEMVMX, SEMAEM */

/* What stands behind a segment: an unnamed file of size bytes that can be mapped shared. Set once
 * at boot. */
extern int (*ipc_segment_file)(uint64_t size, struct file **ret_file);

/* Each returns the identifier. */
int ipc_shm_get(int key, uint64_t size, int flags) must_check;
int ipc_sem_get(int key, int count, int flags) must_check;
int ipc_msg_get(int key, int flags) must_check;

int ipc_shm_attach(int id, uint64_t addr, int flags, uint64_t *ret_addr) must_check;
int ipc_shm_detach(uint64_t addr) must_check;
/* cmd: IPC_STAT, SHM_STAT, SHM_STAT_ANY (id is an index then). Returns what the call returns. */
int ipc_shm_stat(int id, int cmd, struct shmid_ds *ret_ds) must_check;
int ipc_shm_set(int id, const struct shmid_ds *ds) must_check;
int ipc_shm_remove(int id) must_check;
int ipc_shm_lock(int id, bool lock) must_check;
/* Return the highest index in use. */
int ipc_shm_limits(struct shminfo *ret_info) must_check;
int ipc_shm_usage(struct shm_info *ret_info) must_check;

/* operations: the sentry's copy. deadline_ns: CLOCK_MONOTONIC. */
int ipc_sem_operate(int id, const struct sembuf *operations, unsigned count,
                    uint64_t deadline_ns) must_check;
int ipc_sem_stat(int id, int cmd, struct semid_ds *ret_ds) must_check;
int ipc_sem_set(int id, const struct semid_ds *ds) must_check;
int ipc_sem_remove(int id) must_check;
int ipc_sem_info(int cmd, struct seminfo *ret_info) must_check;
/* GETVAL, GETPID, GETNCNT, GETZCNT */
int ipc_sem_get_one(int id, int number, int cmd) must_check;
int ipc_sem_set_one(int id, int number, int value) must_check;
/* All values: *ret_values is the caller's to free. */
int ipc_sem_get_all(int id, uint16_t **ret_values, unsigned *ret_count) must_check;
/* How many values SETALL takes, with the checks that come before it reads them. */
int ipc_sem_count(int id) must_check;
int ipc_sem_set_all(int id, const uint16_t *values, unsigned count) must_check;

/* The list of what SEM_UNDO has to undo, shared by tasks with CLONE_SYSVSEM. */
struct sem_undo_list *sem_undo_list_new(void) must_check;
struct sem_undo_list *sem_undo_list_ref(struct sem_undo_list *list);
/* The last reference undoes. */
void sem_undo_list_unref(struct sem_undo_list *list);

struct ipc_message; /* a message on its way */
/* NULL: no memory, or no room in the sandbox. */
struct ipc_message *ipc_message_new(long type, size_t length) must_check;
void ipc_message_free(struct ipc_message *message);
long ipc_message_type(const struct ipc_message *message);
size_t ipc_message_length(const struct ipc_message *message);
char *ipc_message_text(struct ipc_message *message);
/* Takes the message on success. */
int ipc_msg_send(int id, struct ipc_message *message, int flags) must_check;
/* The caller frees *ret_message, which may be longer than size (MSG_NOERROR). */
int ipc_msg_receive(int id, uint64_t size, long type, int flags,
                    struct ipc_message **ret_message) must_check;
int ipc_msg_stat(int id, int cmd, struct msqid_ds *ret_ds) must_check;
int ipc_msg_set(int id, const struct msqid_ds *ds) must_check;
int ipc_msg_remove(int id) must_check;
int ipc_msg_info(int cmd, struct msginfo *ret_info) must_check;

/* /proc/sysvipc */
int ipc_shm_show(struct text *out) must_check;
int ipc_sem_show(struct text *out) must_check;
int ipc_msg_show(struct text *out) must_check;
