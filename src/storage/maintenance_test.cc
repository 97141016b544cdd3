#include "storage/maintenance.h"

#include <gtest/gtest.h>

#include "storage/migrate.h"
#include "sys/file.h"
#include "sys/testing/temp_directory.h"

namespace fleetseal::storage {
namespace {

TEST(Maintenance, CopiesWhatIsCommittedWhileOthersUseIt) {
  const sys::TempDirectory folder;
  const std::string url = "sqlite:" + folder.File("a.db");
  const auto database = *Database::Open({.url = url});
  ASSERT_TRUE(Migrate(*database, "m", std::vector<Migration>{{1, "t", {"CREATE TABLE t (a BIGINT PRIMARY KEY)"}}}));
  ASSERT_TRUE(database->WithTransaction([](Session& session) -> Status {
    TRY(session.Execute("INSERT INTO t (a) VALUES (:a)", {7}));
    return {};
  }));
  ASSERT_TRUE(CopyDatabase(url, folder.File("b.db")));
  EXPECT_FALSE(CopyDatabase(url, folder.File("b.db"))) << "nothing is overwritten";
  const auto copy = *Database::Open({.url = "sqlite:" + folder.File("b.db")});
  const auto value = copy->WithSnapshot([](Session& session) -> Result<int64_t> {
    TRY_ASSIGN(const auto row, session.QueryRow("SELECT a FROM t"));
    return row.Integer(0);
  });
  EXPECT_EQ(value.value(), 7);
  EXPECT_TRUE(CheckDatabase(url)->empty());
  EXPECT_EQ(CopyDatabase("sqlite:" + folder.File("none.db"), folder.File("c.db")).error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(sys::FileExists(folder.File("none.db")));
  EXPECT_EQ(CopyDatabase("postgresql:dbname=x", folder.File("c.db")).error().code, ErrorCode::kUnsupported);
}

TEST(Maintenance, NamesADamagedDatabase) {
  const sys::TempDirectory folder;
  const std::string path = folder.File("a.db");
  {
    const auto database = *Database::Open({.url = "sqlite:" + path});
    ASSERT_TRUE(Migrate(*database, "m",
                        std::vector<Migration>{
                            {1, "t", {"CREATE TABLE t (a BIGINT PRIMARY KEY, b TEXT)", "CREATE INDEX i ON t (b)"}}}));
    ASSERT_TRUE(database->WithTransaction([](Session& session) -> Status {
      for (int i = 0; i < 500; ++i)
        TRY(session.Execute("INSERT INTO t (a, b) VALUES (:a, :b)", {i, std::string(100, 'x')}));
      return {};
    }));
  }
  Bytes bytes = *sys::ReadFile(path, 16 * 1024 * 1024);
  for (size_t i = bytes.size() / 2; i < bytes.size() / 2 + 4096; ++i) bytes[i] = 0xff;
  ASSERT_TRUE(sys::WriteFileDurably(path, bytes, 0600));
  EXPECT_FALSE(CheckDatabase("sqlite:" + path)->empty());
  ASSERT_TRUE(sys::WriteFileDurably(path, AsBytes("no database at all, but long enough to have a header"), 0600));
  EXPECT_FALSE(CheckDatabase("sqlite:" + path)->empty());
}

}  // namespace
}  // namespace fleetseal::storage
