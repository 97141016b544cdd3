// Small helpers over storage::Session for the .cc files of this folder.
//
// Thread rule: inside the caller's transaction.
#pragma once

#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

#include "storage/database.h"

namespace fleetseal::signer::store {

// The first row through `convert`, nullopt if there is none.
template <typename Convert>
auto FirstRow(storage::Session& session, std::string_view sql, const storage::Params& params, Convert convert)
    -> Result<std::optional<std::invoke_result_t<Convert, const storage::Row&>>> {
  std::optional<std::invoke_result_t<Convert, const storage::Row&>> first;
  TRY_ASSIGN(const storage::Rows rows, session.Query(sql, params));
  if (!rows.empty()) first = convert(rows.front());
  return first;
}

template <typename Convert>
auto AllRows(storage::Session& session, std::string_view sql, const storage::Params& params, Convert convert)
    -> Result<std::vector<std::invoke_result_t<Convert, const storage::Row&>>> {
  std::vector<std::invoke_result_t<Convert, const storage::Row&>> all;
  TRY_ASSIGN(const storage::Rows rows, session.Query(sql, params));
  all.reserve(rows.size());
  for (const auto& row : rows) all.push_back(convert(row));
  return all;
}

// Drops the count.
inline Status Done(const Result<int64_t>& outcome) {
  TRY(outcome);
  return {};
}

}  // namespace fleetseal::signer::store
