/* LD_PRELOAD: shifts the wall clock of one process and its children by CLOCK_SHIFT seconds, and no other clock. With
   CLOCK_FILE it stands at the seconds that this file of 8 bytes holds, which somebody else may change at any time. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t shift(void) {
  const char* text = getenv("CLOCK_SHIFT");
  return text == NULL ? 0 : (time_t)strtol(text, NULL, 10);
}

static const volatile int64_t* stopped_at;

/* Before the program runs: later its sandbox may open no files. */
__attribute__((constructor)) static void map_clock_file(void) {
  const char* path = getenv("CLOCK_FILE");
  if (path == NULL) return;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) abort();
  void* memory = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) abort();
  close(fd);
  stopped_at = memory;
}

int clock_gettime(clockid_t clock, struct timespec* out) {
  const int outcome = (int)syscall(SYS_clock_gettime, clock, out);
  if (outcome != 0 || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return outcome;
  out->tv_sec = stopped_at != NULL ? (time_t)*stopped_at : out->tv_sec + shift();
  return outcome;
}

int gettimeofday(struct timeval* restrict out, void* restrict zone) {
  (void)zone;
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* out) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}
