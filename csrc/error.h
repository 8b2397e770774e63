// The one way in which native code refuses: an exception whose message starts with a stable code in brackets.
#pragma once

#include <c10/util/Exception.h>
#include <c10/util/StringUtil.h>

#include <string>

namespace phantomgrad {

/// Throws c10::Error with the message "[code] text". The door (csrc/node) turns the bracket into `error.code`.
template <class... Parts>
[[noreturn]] void refuse(const char* code, const Parts&... parts) {
  throw c10::Error(c10::str("[", code, "] ", parts...));
}

}  // namespace phantomgrad

/// Refuses with `code` unless `condition` holds; the remaining arguments are joined into the message.
#define PG_CHECK(condition, code, ...)                          \
  do {                                                          \
    if (!(condition)) ::phantomgrad::refuse(code, __VA_ARGS__); \
  } while (0)
