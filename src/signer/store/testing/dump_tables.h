// Every row of every table of an SQLite database as text, for tests that show that nothing changed.
//
// Header only, so it is compiled into tests and nothing else. Thread rule: one thread.
#pragma once

#include <string>

#include "storage/database.h"

namespace fleetseal::signer::store {

inline Result<std::string> DumpTables(storage::Database& database) {
  return database.WithSnapshot([](storage::Session& session) -> Result<std::string> {
    std::string text;
    TRY_ASSIGN(const auto tables, session.Query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"));
    for (const auto& table : tables) {
      TRY_ASSIGN(const auto columns, session.Query("SELECT name FROM pragma_table_info(:t)", {table.Text(0)}));
      std::string all;
      for (const auto& column : columns) all += (all.empty() ? "quote(" : " || '|' || quote(") + column.Text(0) + ")";
      TRY_ASSIGN(const auto rows, session.Query("SELECT " + all + " FROM " + table.Text(0) + " ORDER BY 1"));
      text += "== " + table.Text(0) + "\n";
      for (const auto& row : rows) text += row.Text(0) + "\n";
    }
    return text;
  });
}

}  // namespace fleetseal::signer::store
