/*
 * threads.c: threads: identity, shared state, thread-local storage, exit of the group.
 */
#include "tests/syscalls/guest_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>

static void *return_argument(void *argument)
{
    return argument;
}

TEST_CASE(create_and_join)
{
    pthread_t threads[32];
    for (long i = 0; i < 32; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, return_argument, (void *)(i + 1)), 0);
    }
    for (long i = 0; i < 32; i++) {
        void *result = NULL;
        CHECK_EQ(pthread_join(threads[i], &result), 0);
        CHECK_EQ(result, i + 1);
    }
}

static void *identity(void *argument)
{
    pid_t *ids = argument;
    ids[0] = getpid();
    ids[1] = (pid_t)syscall(SYS_gettid);
    ids[2] = getppid();
    return NULL;
}

TEST_CASE(pid_is_shared_tid_is_not)
{
    pthread_t thread;
    pid_t ids[3];
    CHECK_EQ(pthread_create(&thread, NULL, identity, ids), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(ids[0], getpid());
    CHECK(ids[1] != getpid());
    CHECK_EQ(ids[2], getppid());
}

static __thread int thread_local_value = 11;

static void *change_tls(void *argument)
{
    *(int *)argument = thread_local_value;
    thread_local_value = 12;
    return NULL;
}

TEST_CASE(tls_is_per_thread)
{
    pthread_t thread;
    int seen = 0;
    thread_local_value = 10;
    CHECK_EQ(pthread_create(&thread, NULL, change_tls, &seen), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(seen, 11);
    CHECK_EQ(thread_local_value, 10);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn;

static void *play(void *argument)
{
    int me = (int)(long)argument;
    for (int i = 0; i < 200; i++) {
        pthread_mutex_lock(&mutex);
        while (turn % 2 != me) {
            pthread_cond_wait(&changed, &mutex);
        }
        turn++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

TEST_CASE(mutex_and_condition_ping_pong)
{
    pthread_t threads[2];
    turn = 0;
    for (long i = 0; i < 2; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, play, (void *)i), 0);
    }
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    CHECK_EQ(turn, 400);
}

static void *sleep_forever(void *argument)
{
    (void)argument;
    for (;;) {
        pause();
    }
    return NULL;
}

static void *exit_group_from_thread(void *argument)
{
    (void)argument;
    _exit(23);
}

TEST_CASE(exit_group_ends_all_threads)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, sleep_forever, NULL);
        pthread_create(&thread, NULL, exit_group_from_thread, NULL);
        sleep_forever(NULL);
    }
    CHECK_CHILD_EXIT(pid, 23);
}

static void *exit_later(void *argument)
{
    (void)argument;
    guest_sleep_ms(50);
    syscall(SYS_exit, 31);
    return NULL;
}

TEST_CASE(process_lives_until_the_last_thread)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, exit_later, NULL), 0);
        syscall(SYS_exit, 30);
    }
    long long start = guest_now_ms();
    int status = guest_wait(pid);
    CHECK(guest_now_ms() - start >= 30);
    CHECK(WIFEXITED(status));
    /* Linux: the status of the last thread since 5.17, of the leader before. */
    CHECK(WEXITSTATUS(status) == 31 || WEXITSTATUS(status) == 30);
}

TEST_CASE(fatal_signal_ends_all_threads)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, sleep_forever, NULL);
        pthread_create(&thread, NULL, sleep_forever, NULL);
        kill(getpid(), SIGTERM);
        sleep_forever(NULL);
    }
    CHECK_CHILD_SIGNAL(pid, SIGTERM);
}

static void *set_thread_state(void *argument)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    prctl(PR_SET_NAME, "worker");
    *(int *)argument = chdir("sub");
    return NULL;
}

TEST_CASE(mask_and_name_are_per_thread_cwd_is_not)
{
    pthread_t thread;
    int result = -1;
    char name[17] = "";
    char cwd[PATH_MAX];
    sigset_t set;
    CHECK_OK(mkdir("sub", 0755));
    CHECK_OK(prctl(PR_SET_NAME, "leader"));
    CHECK_EQ(pthread_create(&thread, NULL, set_thread_state, &result), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(result, 0);
    CHECK_OK(prctl(PR_GET_NAME, name));
    CHECK(strcmp(name, "leader") == 0);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
    CHECK_EQ(sigismember(&set, SIGUSR1), 0);
    CHECK(getcwd(cwd, sizeof(cwd)));
    CHECK(strcmp(cwd + strlen(cwd) - 4, "/sub") == 0);
}

static pthread_barrier_t ending;
static atomic_int wrong;

static void *end_together(void *argument)
{
    long mine = (long)argument;
    pthread_barrier_wait(&ending);
    for (int i = 0; i < 3; i++) {
        if (syscall(SYS_lseek, -1, 0, (int)(mine & 1)) != -1 || errno != EBADF) {
            atomic_fetch_add(&wrong, 1);
        }
    }
    return argument;
}

/* Many end at once while others start, so that what they leave behind finds new users at once. */
TEST_CASE(many_end_at_once)
{
    enum { MANY = 12, ROUNDS = 60 };
    CHECK_EQ(pthread_barrier_init(&ending, NULL, MANY), 0);
    pthread_t threads[2][MANY];
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t *now = threads[round % 2];
        pthread_t *before = threads[(round + 1) % 2];
        for (long i = 0; i < MANY; i++) {
            CHECK_EQ(pthread_create(&now[i], NULL, end_together, (void *)(i + round)), 0);
        }
        for (long i = 0; round > 0 && i < MANY; i++) {
            void *result = NULL;
            CHECK_EQ(pthread_join(before[i], &result), 0);
            CHECK_EQ((long)result, i + round - 1);
        }
    }
    for (long i = 0; i < MANY; i++) {
        CHECK_EQ(pthread_join(threads[(ROUNDS - 1) % 2][i], NULL), 0);
    }
    CHECK_EQ(atomic_load(&wrong), 0);
}
