// phantomgrad.node: opens LibTorch, then the core, and hands the core's exports to JavaScript. Links libc only.
//
// A library that LibTorch's file names do not lead to can still use it: glibc satisfies the core's needed libraries by
// soname from what is already open. So neither RPATH nor LD_LIBRARY_PATH is involved, and this file loads on every
// machine, which lets TypeScript explain what is missing.

#include <dlfcn.h>
#include <link.h>
#include <node_api.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

namespace {

using Register = napi_value (*)(napi_env, napi_value);

napi_value fail(napi_env env, const char* code, const std::string& message) {
  napi_throw_error(env, code, message.c_str());
  return nullptr;
}

bool read_string(napi_env env, napi_value value, std::string& text) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) return false;
  text.resize(length);
  return napi_get_value_string_utf8(env, value, text.data(), length + 1, &length) == napi_ok;
}

std::string base_name(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

bool same_file(const std::string& a, const std::string& b) {
  struct stat left, right;
  return stat(a.c_str(), &left) == 0 && stat(b.c_str(), &right) == 0 && left.st_dev == right.st_dev &&
         left.st_ino == right.st_ino;
}

bool same_bytes(const std::string& a, const std::string& b) {
  std::FILE* left = std::fopen(a.c_str(), "rb");
  std::FILE* right = std::fopen(b.c_str(), "rb");
  bool same = left != nullptr && right != nullptr;
  char left_bytes[1 << 14], right_bytes[1 << 14];
  while (same) {
    const size_t count = std::fread(left_bytes, 1, sizeof left_bytes, left);
    same = count == std::fread(right_bytes, 1, sizeof right_bytes, right) &&
           std::memcmp(left_bytes, right_bytes, count) == 0;
    if (count < sizeof left_bytes) break;
  }
  if (left != nullptr) std::fclose(left);
  if (right != nullptr) std::fclose(right);
  return same;
}

// The open library whose file name starts with `prefix`, or "" when there is none.
std::string find_open(const std::string& prefix) {
  struct Search {
    const std::string& prefix;
    std::string found;
  } search{prefix, ""};
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        auto& wanted = *static_cast<Search*>(data);
        const std::string path = info->dlpi_name == nullptr ? "" : info->dlpi_name;
        if (base_name(path).compare(0, wanted.prefix.size(), wanted.prefix) != 0) return 0;
        wanted.found = path;
        return 1;
      },
      &search);
  return search.found;
}

// load(libraries, core): opens LibTorch's `libraries` by absolute path and in order, then `core`; returns core's
// exports.
napi_value load(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  std::string core;
  uint32_t count = 0;
  if (argc != 2 || napi_get_array_length(env, argv[0], &count) != napi_ok || !read_string(env, argv[1], core)) {
    return fail(env, "ERR_INVALID_ARGUMENT", "load: expected (libraries: string[], core: string).");
  }
  std::vector<std::string> libraries(count);
  for (uint32_t i = 0; i < count; ++i) {
    napi_value item;
    if (napi_get_element(env, argv[0], i, &item) != napi_ok || !read_string(env, item, libraries[i])) {
      return fail(env, "ERR_INVALID_ARGUMENT", "load: every library must be a path.");
    }
  }

  // Two Workers may arrive together; the checks below and the opening must be one step.
  static std::mutex& mutex = *new std::mutex;
  const std::lock_guard<std::mutex> lock(mutex);

  // A second LibTorch, or a second core that registers the same operators, would abort the process while it is opened.
  for (const auto& library : libraries) {
    const std::string open = find_open(base_name(library));
    if (!open.empty() && !same_file(open, library)) {
      return fail(env, "ERR_ALREADY_LOADED",
                  "another LibTorch is already open in this process: " + open + "; this package would open " + library +
                      ". Set LIBTORCH to the folder of the first one.");
    }
  }
  const std::string open_core = find_open("libphantomgrad-");
  if (!open_core.empty() && !same_file(open_core, core)) {
    if (!same_bytes(open_core, core)) {
      return fail(env, "ERR_ALREADY_LOADED",
                  "another build of phantomgrad is already open in this process: " + open_core + "; this one is " +
                      core + ". Install one version only (npm ls phantomgrad).");
    }
    core = open_core;
  }

  for (const auto& library : libraries) {
    if (dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
      return fail(env, "ERR_NATIVE_LOAD", std::string("cannot open ") + library + ": " + dlerror());
    }
  }
  void* handle = dlopen(core.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) return fail(env, "ERR_NATIVE_LOAD", std::string("cannot open ") + core + ": " + dlerror());
  const auto register_module = reinterpret_cast<Register>(dlsym(handle, "napi_register_module_v1"));
  if (register_module == nullptr)
    return fail(env, "ERR_NATIVE_LOAD", core + " does not export napi_register_module_v1.");

  napi_value exports;
  if (napi_create_object(env, &exports) != napi_ok) return nullptr;
  napi_value replaced = register_module(env, exports);
  return replaced == nullptr ? exports : replaced;
}

}  // namespace

// The experimental version lets finalizers run inside the garbage collection that finds a tensor dead. With a stable
// version they wait for the event loop, and a synchronous loop keeps every tensor that it ever made.
// PHANTOMGRAD_FINALIZERS=deferred asks for the stable behaviour.
extern "C" __attribute__((visibility("default"))) int32_t node_api_module_get_api_version_v1() {
  const char* mode = std::getenv("PHANTOMGRAD_FINALIZERS");
  return mode != nullptr && std::strcmp(mode, "deferred") == 0 ? 9 : 2147483647;
}

extern "C" __attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  napi_value function;
  if (napi_create_function(env, "load", NAPI_AUTO_LENGTH, load, nullptr, &function) == napi_ok) {
    napi_set_named_property(env, exports, "load", function);
  }
  return exports;
}
