// The table of noise sources, and the operators that make, drop and look at them.
#include "ops/noise_source.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <sys/random.h>
#include <torch/library.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "cpu/noise.h"
#include "error.h"
#include "ops/device.h"
#include "reference/noise.h"

namespace phantomgrad {
namespace {

struct Source {
  uint32_t key[8];
  uint64_t step = 0;  // of the next use

  Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  ~Source() { explicit_bzero(key, sizeof key); }
};

struct Table {
  std::mutex mutex;
  std::unordered_map<int64_t, Source> sources;
  int64_t next_id = 1;  // 0 means "no source"
};

// Never destroyed: workers may still hold sources while the process ends.
Table& table() {
  static Table* const instance = new Table;
  return *instance;
}

void key_from_system(uint32_t (&key)[8]) {
  // At most 256 bytes: getrandom gives all of them or fails (it waits for the pool to be initialised, once after boot).
  PG_CHECK(getrandom(key, sizeof key, 0) == static_cast<ssize_t>(sizeof key), "ERR_PLATFORM",
           "noise_source_create: the operating system gave no random bytes (getrandom: ", std::strerror(errno), ").");
}

// Tests and replays only. The label keeps these keys apart from every other use of a seed.
void key_from_seed(int64_t seed, uint32_t (&key)[8]) {
  ChaChaStream stream = {};
  std::memcpy(stream.key, "phantomgrad insecure noise seed.", sizeof stream.key);
  std::memcpy(stream.nonce, &seed, sizeof seed);
  uint32_t block[16];
  chacha20_block<uint32_t>(stream, 0, block);
  std::memcpy(key, block, sizeof key);
}

int64_t noise_source_create(std::optional<int64_t> insecure_seed) {
  Table& all = table();
  const std::lock_guard lock(all.mutex);
  const int64_t id = all.next_id;
  Source& source = all.sources[id];
  try {
    if (insecure_seed)
      key_from_seed(*insecure_seed, source.key);
    else
      key_from_system(source.key);
  } catch (...) {
    all.sources.erase(id);
    throw;
  }
  ++all.next_id;
  return id;
}

void noise_source_release(int64_t id) {
  Table& all = table();
  const std::lock_guard lock(all.mutex);
  PG_CHECK(all.sources.erase(id) == 1, "ERR_INVALID_ARGUMENT", "noise_source_release: there is no noise source ", id,
           ". It was never made, or it was released before.");
}

at::Tensor normals_tensor(const char* operation, int64_t count) {
  PG_CHECK(count >= 0 && count <= kLongestNoise, "ERR_INVALID_ARGUMENT", operation, ": count must be from 0 to ",
           kLongestNoise, ", got ", count, ". Beyond that the 32-bit block counter would repeat.");
  return at::empty({count}, at::TensorOptions().dtype(at::kDouble));
}

at::Tensor noise_normals(int64_t noise_source, int64_t count) {
  at::Tensor normals = normals_tensor("noise_normals", count);
  const UsedStream stream(noise_source);
  cpu::normals(stream.get(), count, host_writable<double>(normals));
  return normals;
}

at::Tensor reference_normals(int64_t noise_source, int64_t count) {
  at::Tensor normals = normals_tensor("reference_normals", count);
  const UsedStream stream(noise_source);
  double* out = host_writable<double>(normals);
  for (int64_t i = 0; i < count; ++i) out[i] = reference::normal(stream.get(), i);
  return normals;
}

void check_bytes(const char* name, const at::Tensor& bytes, int64_t length) {
  PG_CHECK(bytes.device().is_cpu() && bytes.scalar_type() == at::kByte && bytes.dim() == 1 && bytes.numel() == length &&
               bytes.is_contiguous(),
           "ERR_INVALID_ARGUMENT", "chacha20_block: ", name, " must be ", length,
           " contiguous uint8 values on the CPU, got ", bytes.toString(), " of shape ", bytes.sizes(), ".");
}

at::Tensor chacha20_block_bytes(const at::Tensor& key, int64_t counter, const at::Tensor& nonce) {
  check_bytes("key", key, 32);
  check_bytes("nonce", nonce, 12);
  PG_CHECK(counter >= 0 && counter <= std::numeric_limits<uint32_t>::max(), "ERR_INVALID_ARGUMENT",
           "chacha20_block: counter must be from 0 to 2^32 - 1, got ", counter, ".");
  ChaChaStream stream;
  std::memcpy(stream.key, host_data<uint8_t>(key), sizeof stream.key);
  std::memcpy(stream.nonce, host_data<uint8_t>(nonce), sizeof stream.nonce);
  uint32_t words[16 * kTileLanes];
  cpu::words(stream, static_cast<uint32_t>(counter), words);
  at::Tensor block = at::empty({64}, at::TensorOptions().dtype(at::kByte));
  std::memcpy(host_writable<uint8_t>(block), words, 64);
  return block;
}

}  // namespace

UsedStream::UsedStream(int64_t id) {
  if (id == 0) return;
  Table& all = table();
  const std::lock_guard lock(all.mutex);
  const auto found = all.sources.find(id);
  PG_CHECK(found != all.sources.end(), "ERR_INVALID_ARGUMENT", "there is no noise source ", id,
           ". Make one with noise_source_create() and release it only after its last use.");
  Source& source = found->second;
  PG_CHECK(source.step < std::numeric_limits<uint64_t>::max(), "ERR_INVALID_ARGUMENT", "noise source ", id,
           " is used up.");
  stream_ = noise_stream(source.key, source.step, 0);
  ++source.step;
}

UsedStream::~UsedStream() { explicit_bzero(&stream_, sizeof stream_); }

}  // namespace phantomgrad

TORCH_LIBRARY_FRAGMENT(phantomgrad, m) {
  m.def("noise_source_create(int? insecure_seed=None) -> int", &phantomgrad::noise_source_create);
  m.def("noise_source_release(int noise_source) -> ()", &phantomgrad::noise_source_release);
  // For tests: what the noise is made of. Each use consumes a step, so that nothing released can be taken back.
  m.def("noise_normals(int noise_source, int count) -> Tensor", &phantomgrad::noise_normals);
  m.def("reference_normals(int noise_source, int count) -> Tensor", &phantomgrad::reference_normals);
  m.def("chacha20_block(Tensor key, int counter, Tensor nonce) -> Tensor", &phantomgrad::chacha20_block_bytes);
}
