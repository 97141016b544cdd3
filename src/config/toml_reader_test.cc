#include "config/toml_reader.h"

#include <gtest/gtest.h>

#include "base/ids.h"
#include "sys/testing/temp_directory.h"

namespace fleetseal::config {
namespace {

std::unique_ptr<TomlFile> ParseText(std::string_view text) {
  auto file = TomlFile::Parse(text, "/etc/fleetseal/server.toml");
  EXPECT_TRUE(file.has_value()) << file.error().ToString();
  return file ? *std::move(file) : nullptr;
}

TEST(TomlReader, ReadsEveryKindOfValue) {
  const auto file = ParseText(
      "name = 'a'\ncount = 3\nis_on = true\nlist = ['x', 'y']\nkey = 'keys/tls.pem'\nca = '/ca.pem'\n"
      "url = 'https://host:8443/x'\n[tls]\nport = 1\n[[peer]]\nid = 'p1'\n[[peer]]\nid = 'p2'\n");
  TomlReader reader = file->root();
  EXPECT_EQ(reader.String("name"), "a");
  EXPECT_EQ(reader.Integer("count", 0, 10), 3);
  EXPECT_TRUE(reader.Bool("is_on"));
  EXPECT_EQ(reader.Strings("list"), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(reader.Path("key"), "/etc/fleetseal/keys/tls.pem");
  EXPECT_EQ(reader.Path("ca"), "/ca.pem");
  EXPECT_EQ(reader.HttpsUrl("url"), "https://host:8443/x");
  EXPECT_EQ(reader.Table("tls").Integer("port", 1, 65535), 1);
  const auto peers = reader.Tables("peer");
  ASSERT_EQ(peers.size(), 2u);
  EXPECT_EQ(TomlReader(peers[1]).Parsed<DeviceId>("id").text(), "p2");
  EXPECT_EQ(TomlReader(peers[0]).String("id"), "p1");
  EXPECT_EQ(reader.StringOr("other", "b"), "b");
  EXPECT_EQ(reader.IntegerOr("other", 7, 0, 10), 7);
  EXPECT_FALSE(reader.OptionalTable("other").has_value());
  EXPECT_TRUE(reader.Finish().has_value());
}

std::string FailureOf(std::string_view text, void (*read)(TomlReader&)) {
  const auto file = ParseText(text);
  TomlReader reader = file->root();
  read(reader);
  const auto status = reader.Finish();
  EXPECT_FALSE(status.has_value());
  if (status) return {};
  EXPECT_EQ(status.error().code, ErrorCode::kConfigInvalid);
  return status.error().detail;
}

TEST(TomlReader, RefusesUnknownKeysWithTheirLine) {
  EXPECT_EQ(FailureOf("name = 'a'\nnmae = 'b'\n", [](TomlReader& reader) { reader.String("name"); }),
            "/etc/fleetseal/server.toml:2: nmae: is not a known key");
  EXPECT_EQ(
      FailureOf("[tls]\nport = 1\nprot = 2\n", [](TomlReader& reader) { reader.Table("tls").Integer("port", 0, 9); }),
      "/etc/fleetseal/server.toml:3: tls.prot: is not a known key");
  EXPECT_EQ(FailureOf("[[peer]]\nid = 'a'\n[[peer]]\nid = 'b'\nx = 1\n",
                      [](TomlReader& reader) {
                        for (TomlReader peer : reader.Tables("peer")) peer.String("id");
                      }),
            "/etc/fleetseal/server.toml:5: peer.x: is not a known key");
}

TEST(TomlReader, RefusesWrongTypesMissingKeysAndRanges) {
  EXPECT_EQ(FailureOf("a = 1\n", [](TomlReader& reader) { reader.String("a"); }),
            "/etc/fleetseal/server.toml:1: a: is not a string");
  EXPECT_EQ(FailureOf("a = '1'\n", [](TomlReader& reader) { reader.Integer("a", 0, 1); }),
            "/etc/fleetseal/server.toml:1: a: is not an integer");
  EXPECT_EQ(FailureOf("\na = 5\n", [](TomlReader& reader) { reader.Integer("a", 0, 4); }),
            "/etc/fleetseal/server.toml:2: a: is not within 0 to 4");
  EXPECT_EQ(FailureOf("a = 1\n", [](TomlReader& reader) { reader.Bool("a"); }),
            "/etc/fleetseal/server.toml:1: a: is not true or false");
  EXPECT_EQ(FailureOf("a = ['x', 1]\n", [](TomlReader& reader) { reader.Strings("a"); }),
            "/etc/fleetseal/server.toml:1: a: is not an array of strings");
  EXPECT_EQ(FailureOf("a = 1\n", [](TomlReader& reader) { reader.Table("a"); }),
            "/etc/fleetseal/server.toml:1: a: is not a table");
  EXPECT_EQ(FailureOf("a = 1\n", [](TomlReader& reader) { reader.Tables("a"); }),
            "/etc/fleetseal/server.toml:1: a: is not a list of [[a]] tables");
  EXPECT_EQ(FailureOf("a = ''\n", [](TomlReader& reader) { reader.Path("a"); }),
            "/etc/fleetseal/server.toml:1: a: is an empty path");
  EXPECT_NE(FailureOf("[t]\n", [](TomlReader& reader) { reader.Table("t").String("a"); }).find("t.a: is missing"),
            std::string::npos);
}

TEST(TomlReader, S0_16_RefusesEveryAddressThatIsNotHttps) {
  for (const char* url : {"http://host/", "HTTPS://host", "https://", "https://:443", "https://user@host", "ftp://host",
                          "https://ho st", "host:443"}) {
    const auto file = ParseText(std::string("u = '") + url + "'\n");
    TomlReader reader = file->root();
    EXPECT_EQ(reader.HttpsUrl("u"), "") << url;
    ASSERT_FALSE(reader.Finish().has_value()) << url;
    EXPECT_EQ(reader.Finish().error().code, ErrorCode::kConfigInvalid);
  }
}

TEST(TomlReader, S0_16_KnowsNoKeyThatTurnsChecksOff) {
  for (const char* key : {"verify", "insecure", "skip_verify"}) {
    const auto file = ParseText(std::string(key) + " = false\n");
    EXPECT_FALSE(file->root().Finish().has_value());
  }
}

TEST(TomlReader, TheFirstFailureStaysThroughoutTheFile) {
  const auto file = ParseText("a = 1\n[t]\nb = 1\n");
  TomlReader reader = file->root();
  TomlReader table = reader.Table("t");
  table.String("b");
  reader.String("a");
  EXPECT_FALSE(reader.is_good());
  EXPECT_NE(reader.Finish().error().detail.find("t.b"), std::string::npos);
  EXPECT_FALSE(table.Finish().has_value());
}

TEST(TomlReader, ListsKeysOfTablesWithFreeNames) {
  const auto file = ParseText("[handlers.b]\n[handlers.a]\n");
  TomlReader handlers = file->root().Table("handlers");
  EXPECT_EQ(handlers.Keys(), (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(handlers.Finish().has_value());
}

TEST(TomlFile, RefusesSyntaxErrorsAndDuplicateKeysWithTheirLine) {
  const auto syntax = TomlFile::Parse("a = 1\nb = = 2\n", "x.toml");
  ASSERT_FALSE(syntax.has_value());
  EXPECT_EQ(syntax.error().code, ErrorCode::kConfigInvalid);
  EXPECT_TRUE(syntax.error().detail.starts_with("x.toml:2: ")) << syntax.error().detail;
  EXPECT_FALSE(TomlFile::Parse("a = 1\na = 2\n", "x.toml").has_value());
}

TEST(TomlFile, RefusesWhatTheLibraryTakesForGranted) {
  for (const char* header : {"\xef\xb3\xbf"
                             "a = 1",
                             "b = 1 \xef\xb3\xbf",
                             "b = \"x\\\"\" \xef\xb3\xbf",
                             "b = 'x\\' \xc3\xa9",
                             "b = \"\"\"x",
                             "b = '''x",
                             "b = 1979-05-27T:00Z",
                             "b = 1979-05-27",
                             "b = 1.5",
                             "b = 0x1f",
                             "b = [",
                             "b = \"x",
                             "b = [1, 07:00]",
                             "b",
                             "b = nan",
                             "b = {x = 1.5}",
                             "b = \"x\" y",
                             "[`evice]",
                             "[]",
                             "[[]]",
                             "[",
                             " \t[ \t.a]",
                             "[=1]",
                             "[\xc3\xa9]"}) {
    const auto read = TomlFile::Parse(std::string("a = 1\n") + header + "\nb = 2\n", "x.toml");
    ASSERT_FALSE(read.has_value()) << header;
    EXPECT_TRUE(read.error().detail.starts_with("x.toml:2: ")) << read.error().detail;
  }
  for (const char* good : {"[a]", "[[a]]", " [ a . b ]", "['x y']", "[\"x\"]", "[-_1]", "c = [[1, 2], ['x'], []]",
                           "c = {x = 1, y = [\"z\"]}", "c = -1_000\r", "c = \"\"",

                           "b = \"\xc3\xa9\\\"\" # \xef\xb3\xbf", "b = '\xc3\xa9'"})
    EXPECT_TRUE(TomlFile::Parse(std::string("a1 = 1\n") + good + "\n", "x.toml").has_value()) << good;
}

TEST(TomlFile, LoadsFromDiskAndSaysWhenItIsMissing) {
  const sys::TempDirectory directory;
  const std::string path = directory.File("c.toml");
  EXPECT_EQ(TomlFile::Load(path).error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(sys::WriteFileDurably(path, AsBytes("k = 'x'\n"), 0600).has_value());
  auto file = TomlFile::Load(path);
  ASSERT_TRUE(file.has_value());
  TomlReader reader = (*file)->root();
  EXPECT_EQ(reader.Path("k"), directory.File("x"));
  EXPECT_TRUE(reader.Finish().has_value());
}

TEST(TomlFile, MakesPathsOfARelativeFileAbsoluteSoThatNoneIsResolvedTwice) {
  auto file = TomlFile::Parse("", "org/server/server.toml");
  ASSERT_TRUE(file.has_value());
  TomlReader reader = (*file)->root();
  const std::string data = reader.PathOr("data", ".");
  EXPECT_TRUE(data.starts_with('/')) << data;
  EXPECT_EQ(reader.PathOr("content", data + "/content"), data + "/content");
}

}  // namespace
}  // namespace fleetseal::config
