// From C++ exceptions to JavaScript errors with stable codes.
#include "guard.h"

#include <c10/util/Exception.h>

#include <new>
#include <string>

namespace phantomgrad {

namespace {

// No js::ok here: while a Worker is being terminated every call fails, and then there is nobody left to tell.
void throw_error(napi_env env, const std::string& code, const std::string& message) noexcept {
  napi_value js_code, js_message, error;
  if (napi_create_string_utf8(env, code.data(), code.size(), &js_code) != napi_ok) return;
  if (napi_create_string_utf8(env, message.data(), message.size(), &js_message) != napi_ok) return;
  if (napi_create_error(env, js_code, js_message, &error) != napi_ok) return;
  napi_throw(env, error);
}

// Splits «[ERR_X] text» into code and text; false if the message does not start so.
bool split_code(const std::string& message, std::string* code, std::string* text) {
  if (message.rfind("[ERR_", 0) != 0) return false;
  const size_t end = message.find("] ");
  if (end == std::string::npos || message.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_", 1) != end) return false;
  *code = message.substr(1, end - 1);
  *text = message.substr(end + 2);
  return true;
}

// The CPU allocator reports exhaustion as a plain c10::Error, so the wording is all there is to go by.
bool is_allocation_failure(const std::string& message) {
  return message.find("DefaultCPUAllocator") != std::string::npos ||
         message.find("can't allocate memory") != std::string::npos;
}

// LibTorch has no type for these either: a device that is not there, or tensors on several.
bool is_device_failure(const std::string& message) {
  for (const char* words :
       {"Expected all tensors to be on the same device", "Found no NVIDIA driver", "not linked with support for cuda",
        "from the 'CUDA' backend", "invalid device ordinal", "No CUDA GPUs are available"})
    if (message.find(words) != std::string::npos) return true;
  return false;
}

void throw_torch(napi_env env, const char* operation, const std::string& message, bool out_of_memory) noexcept {
  std::string own, text;
  if (split_code(message, &own, &text)) return throw_error(env, own, text);
  const bool exhausted = out_of_memory || is_allocation_failure(message);
  const std::string where = operation == nullptr ? "" : std::string(operation) + ": ";
  const char* code = exhausted ? "ERR_OUT_OF_MEMORY" : is_device_failure(message) ? "ERR_DEVICE" : "ERR_TORCH";
  throw_error(env, code, where + message);
}

}  // namespace

napi_value guarded(napi_env env, const char* operation, c10::function_ref<napi_value()> body) noexcept {
  try {
    return body();
  } catch (const js::Failure&) {
    bool pending = false;
    if (napi_is_exception_pending(env, &pending) == napi_ok && !pending)
      throw_error(env, "ERR_INVALID_ARGUMENT", "a value could not be converted between JavaScript and native code");
  } catch (const c10::OutOfMemoryError& error) {
    throw_torch(env, operation, error.what_without_backtrace(), true);
  } catch (const c10::Error& error) {
    throw_torch(env, operation, error.what_without_backtrace(), false);
  } catch (const std::bad_alloc&) {
    throw_torch(env, operation, "out of memory", true);
  } catch (const std::exception& error) {
    throw_torch(env, operation, error.what(), false);
  } catch (...) {
    throw_torch(env, operation, "an unknown native exception", false);
  }
  return nullptr;
}

}  // namespace phantomgrad
