// How much heap calls hold, and memory that ends: this program's malloc, counted.
//
// Included by one .cc file of a program, whose malloc and operator new it then is (glibc only; not with a sanitizer,
// which has its own). Sizes are those that the allocator gives, rounded up as it does. Thread rule: counters are exact
// while one thread allocates.
#pragma once

#include <malloc.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace fleetseal::trust_api::testing {

inline size_t heap_live = 0;
inline size_t heap_peak = 0;
inline size_t heap_allocations = 0;
inline size_t heap_new_fails_in = 0;  // 1: the next operator new throws; 0: none does

inline void* Counted(void* memory) {
  if (memory == nullptr) return nullptr;
  heap_live += malloc_usable_size(memory);
  heap_allocations += 1;
  if (heap_live > heap_peak) heap_peak = heap_live;
  return memory;
}

// Bytes held at most while `call` runs, beyond what was held before.
template <typename Call>
size_t PeakOf(Call call) {
  const size_t before = heap_live;
  heap_peak = heap_live;
  call();
  return heap_peak - before;
}

}  // namespace fleetseal::trust_api::testing

extern "C" {
void* __libc_malloc(size_t size);
void __libc_free(void* memory);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* memory, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

void* malloc(size_t size) { return fleetseal::trust_api::testing::Counted(__libc_malloc(size)); }
void* calloc(size_t count, size_t size) { return fleetseal::trust_api::testing::Counted(__libc_calloc(count, size)); }
void* memalign(size_t alignment, size_t size) {
  return fleetseal::trust_api::testing::Counted(__libc_memalign(alignment, size));
}
void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void** memory, size_t alignment, size_t size) {
  *memory = memalign(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
}
void free(void* memory) {
  if (memory != nullptr) fleetseal::trust_api::testing::heap_live -= malloc_usable_size(memory);
  __libc_free(memory);
}
// The old and the new block may both be there while bytes are copied.
void* realloc(void* memory, size_t size) {
  using namespace fleetseal::trust_api::testing;  // NOLINT(google-build-using-namespace)
  const size_t old = memory == nullptr ? 0 : malloc_usable_size(memory);
  void* moved = __libc_realloc(memory, size);
  if (moved == nullptr) return nullptr;
  if (moved != memory && heap_live + malloc_usable_size(moved) > heap_peak)
    heap_peak = heap_live + malloc_usable_size(moved);
  heap_live -= old;
  return Counted(moved);
}
}

void* operator new(size_t size) {
  using namespace fleetseal::trust_api::testing;  // NOLINT(google-build-using-namespace)
  if (heap_new_fails_in != 0 && --heap_new_fails_in == 0) throw std::bad_alloc();
  void* memory = malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { free(memory); }
void operator delete(void* memory, size_t) noexcept { free(memory); }
