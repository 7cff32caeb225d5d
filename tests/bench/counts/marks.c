/* Preloaded into the program that is counted.

   It tells callgrind, if that is there, when to write down what it has counted since the last time.
   From time_stands() on clocks count too: every reading is a step later than the one before, and
   between readings no time passes. So the producer gives way to the loop after the same record in
   every run. */
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

/* Far ahead, so that nothing that waits on the machine's clock for one of these moments ends. */
#define WALL_START 1900000000000000000LL
#define UPTIME_START 100000000000000000LL
/* One reading for a record: the pace of 2.5 million a second. */
#define WALL_STEP 400
/* One reading for 32 callbacks or so. */
#define UPTIME_STEP 8000

static int standing;
static int64_t wall, uptime;

void begin_counting(void) { CALLGRIND_START_INSTRUMENTATION; }
void keep_counts(const char *name) { CALLGRIND_DUMP_STATS_AT(name); }
void toggle_counting(void) { CALLGRIND_TOGGLE_COLLECT; }

void time_stands(void) {
    wall = WALL_START;
    uptime = UPTIME_START;
    standing = 1;
}

void pass_time(int64_t nanoseconds) {
    wall += nanoseconds;
    uptime += nanoseconds;
}

int clock_gettime(clockid_t which, struct timespec *found) {
    int64_t now;
    if (!standing) return (int)syscall(SYS_clock_gettime, which, found);
    if (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)
        now = wall += WALL_STEP;
    else
        now = uptime += UPTIME_STEP;
    found->tv_sec = now / 1000000000;
    found->tv_nsec = now % 1000000000;
    return 0;
}

int timespec_get(struct timespec *found, int base) {
    return clock_gettime(CLOCK_REALTIME, found) ? 0 : base;
}

int gettimeofday(struct timeval *found, void *zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    found->tv_sec = now.tv_sec;
    found->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *found) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (found) *found = now.tv_sec;
    return now.tv_sec;
}
