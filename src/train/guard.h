// What every function of the seam shares: it returns null, or a message that lives until the
// thread's next call; no C++ exception crosses into Rust.
#pragma once

#include <ATen/core/Tensor.h>

#include <exception>
#include <string>

namespace hexapla {

inline std::string &message() {
  thread_local std::string text;
  return text;
}

template <class F>
const char *guarded(F &&body) noexcept {
  try {
    body();
    return nullptr;
  } catch (const c10::Error &error) {
    message() = error.what_without_backtrace();
  } catch (const std::exception &error) {
    message() = error.what();
  } catch (...) {
    message() = "unknown C++ exception";
  }
  return message().c_str();
}

} // namespace hexapla
