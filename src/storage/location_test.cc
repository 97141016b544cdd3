#include "storage/location.h"

#include <gtest/gtest.h>

namespace fleetseal::storage {
namespace {

TEST(Location, OfSqliteIsTheFolderOfTheFile) {
  EXPECT_EQ(LocationOf("sqlite:/var/lib/x/signer.db").directory, "/var/lib/x");
  EXPECT_EQ(LocationOf("sqlite:signer.db").directory, ".");
  EXPECT_EQ(LocationOf("sqlite:/var/lib/x/signer.db").file, "/var/lib/x/signer.db");
  EXPECT_FALSE(LocationOf("sqlite:/var/lib/x/signer.db").is_over_internet);
}

TEST(Location, OfPostgresqlNeedsTheInternetUnlessItsHostIsAFolder) {
  for (const char* url : {"postgresql://db.example/x", "postgresql://u@10.0.0.1:5432/x", "postgresql:host=db dbname=x",
                          "postgresql:hostaddr=10.0.0.1", "postgresql:///x?host=db.example"})
    EXPECT_TRUE(LocationOf(url).is_over_internet) << url;
  for (const char* url : {"postgresql:///x", "postgresql:dbname=x", "postgresql://%2Fvar%2Frun/x",
                          "postgresql:host=/run/postgresql dbname=x", "postgresql:///x?host=%2Frun", "", "mysql:x"}) {
    EXPECT_FALSE(LocationOf(url).is_over_internet) << url;
    EXPECT_EQ(LocationOf(url).directory, "") << url;
  }
}

}  // namespace
}  // namespace fleetseal::storage
