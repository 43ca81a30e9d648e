// What the standard library's locks do, told to ThreadSanitizer.
//
// The sanitizer sees the atomics of the code that it instruments. The standard library comes compiled, without them:
// where a lock is contended, where a condition variable gives its lock back and takes it again, and where a scope ends, one
// thread hands over to another and the sanitizer does not see it. It would then report as a race what the lock orders. So
// the linker is told (--wrap) to call these functions first, and each says which address was acquired or released. The
// names are the compiler's: ci/tsan.sh finds them and defines them. The signatures are those of
// library/std/src/{sys/sync,thread} in Rust 1.95, in the x86-64 calling convention.
//
// A once-cell that one thread fills while others look at it is not among them: the servers fill theirs before they start
// a thread, and a false alarm would say so.
#include <stdbool.h>
#include <stdint.h>

void __tsan_acquire(void *);
void __tsan_release(void *);

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define REAL(name) JOIN(__real_, name)
#define WRAP(name) JOIN(__wrap_, name)

// Mutex::lock_contended(&self)
void REAL(LOCK_CONTENDED)(void *mutex);
void WRAP(LOCK_CONTENDED)(void *mutex) {
  REAL(LOCK_CONTENDED)(mutex);
  __tsan_acquire(mutex);
}

// Condvar::wait(&self, &Mutex)
void REAL(WAIT)(void *condvar, void *mutex);
void WRAP(WAIT)(void *condvar, void *mutex) {
  __tsan_release(mutex);
  REAL(WAIT)(condvar, mutex);
  __tsan_acquire(mutex);
}

// Condvar::wait_timeout(&self, &Mutex, Duration) -> bool
bool REAL(WAIT_TIMEOUT)(void *condvar, void *mutex, uint64_t seconds, uint32_t nanoseconds);
bool WRAP(WAIT_TIMEOUT)(void *condvar, void *mutex, uint64_t seconds, uint32_t nanoseconds) {
  __tsan_release(mutex);
  bool in_time = REAL(WAIT_TIMEOUT)(condvar, mutex, seconds, nanoseconds);
  __tsan_acquire(mutex);
  return in_time;
}

// ScopeData::decrement_num_running_threads(&self, panicked): the last thing that a scoped thread does. The scope's owner
// acquires from one of its three words (which one is the compiler's to choose), in code that is instrumented.
void REAL(LEAVE_SCOPE)(void **scope, bool panicked);
void WRAP(LEAVE_SCOPE)(void **scope, bool panicked) {
  for (int word = 0; word < 3; word++) __tsan_release(scope + word);
  REAL(LEAVE_SCOPE)(scope, panicked);
}

// Whoever lets go of an Arc last counts down with release, sees that it was the last, and acquires by a fence. The
// sanitizer understands no fences. What a fence after a count acquires is what was released to that count.
static __thread void *counted;

uint64_t __real___tsan_atomic64_fetch_sub(volatile uint64_t *a, uint64_t by, int order);
uint64_t __wrap___tsan_atomic64_fetch_sub(volatile uint64_t *a, uint64_t by, int order) {
  counted = (void *)a;
  return __real___tsan_atomic64_fetch_sub(a, by, order);
}

void __real___tsan_atomic_thread_fence(int order);
void __wrap___tsan_atomic_thread_fence(int order) {
  __real___tsan_atomic_thread_fence(order);
  if (counted) __tsan_acquire(counted);
}
