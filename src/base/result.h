// Result<T>, Verdict<T> and the two statements that pass failures on.
//
// Source: house rules "Errors": an Error means something failed, a Refusal means the policy said no, a bug is a CHECK.
// Result<T> carries an Error, Verdict<T> carries a Refusal. Both share one numbered ErrorCode table (error_codes.inc).
// Thread rule: plain values, no shared state.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

#include "base/error_code.h"

namespace fleetseal {

// Something failed. `detail` is for the log and the operator, never for an untrusted peer. `where` names the layers
// that added context, outermost first, joined by ": ".
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string detail;
  std::string where;

  // "Code: where: detail", one line, for logs and terminals.
  std::string ToString() const;
};

// The policy said no. A value, not a failure: the refused document changed nothing.
struct Refusal {
  ErrorCode code = ErrorCode::kInternal;
  std::string detail;

  Refusal() = default;
  Refusal(ErrorCode refusal_code, std::string refusal_detail) : code(refusal_code), detail(std::move(refusal_detail)) {}
  // A parser's or verifier's error inside a decision is a refusal with the same code.
  Refusal(const Error& error);  // NOLINT(google-explicit-constructor): lets TRY pass parser errors into a Verdict.

  std::string ToString() const;
};

template <typename T>
using Result = tl::expected<T, Error>;
template <typename T>
using Verdict = tl::expected<T, Refusal>;
using Status = Result<void>;

// Makes the error side of a Result. Returns a value convertible to any Result<T> or Verdict<T>.
tl::unexpected<Error> Fail(ErrorCode code, std::string detail);
tl::unexpected<Refusal> Refuse(ErrorCode code, std::string detail);
// A refusal that leaves a Verdict function's caller as an error (process edges only).
tl::unexpected<Error> Fail(const Refusal& refusal);
// Adds one layer of context ("what we were doing, on which id") in front of error.where.
Error WithContext(Error error, std::string_view context);

}  // namespace fleetseal

#define FLEETSEAL_TRY_CONCAT_(a, b) a##b
#define FLEETSEAL_TRY_NAME_(a, b) FLEETSEAL_TRY_CONCAT_(a, b)

// TRY(expr); leaves the function with expr's error, if it has one.
#define TRY(expr)                                                                          \
  do {                                                                                     \
    auto&& try_outcome_ = (expr);                                                          \
    if (!try_outcome_) [[unlikely]]                                                        \
      return ::tl::unexpected(std::forward<decltype(try_outcome_)>(try_outcome_).error()); \
  } while (false)

// TRY_ASSIGN(auto x, expr); the same, else binds the value.
#define TRY_ASSIGN(declaration, expr) \
  FLEETSEAL_TRY_ASSIGN_(FLEETSEAL_TRY_NAME_(try_value_, __LINE__), declaration, expr)
#define FLEETSEAL_TRY_ASSIGN_(name, declaration, expr)                   \
  auto&& name = (expr);                                                  \
  if (!name) [[unlikely]]                                                \
    return ::tl::unexpected(std::forward<decltype(name)>(name).error()); \
  declaration = *std::forward<decltype(name)>(name)

// TRY_CONTEXT / TRY_ASSIGN_CONTEXT add one layer of context to the error of a Result.
#define TRY_CONTEXT(expr, context)                                                                          \
  do {                                                                                                      \
    auto&& try_outcome_ = (expr);                                                                           \
    if (!try_outcome_) [[unlikely]]                                                                         \
      return ::tl::unexpected(                                                                              \
          ::fleetseal::WithContext(std::forward<decltype(try_outcome_)>(try_outcome_).error(), (context))); \
  } while (false)
#define TRY_ASSIGN_CONTEXT(declaration, expr, context) \
  FLEETSEAL_TRY_ASSIGN_CONTEXT_(FLEETSEAL_TRY_NAME_(try_value_, __LINE__), declaration, expr, context)
#define FLEETSEAL_TRY_ASSIGN_CONTEXT_(name, declaration, expr, context)                                     \
  auto&& name = (expr);                                                                                     \
  if (!name) [[unlikely]]                                                                                   \
    return ::tl::unexpected(::fleetseal::WithContext(std::forward<decltype(name)>(name).error(), context)); \
  declaration = *std::forward<decltype(name)>(name)
