#include "cli/terminal.h"

#include <gtest/gtest.h>

#include "cli/progress.h"
#include "cli/table.h"
#include "cli/wrapped_table.h"
#include "codec/json.h"

namespace fleetseal::cli {
namespace {

TEST(CleanText, LetsNothingThroughThatCommandsATerminal) {
  EXPECT_EQ(CleanText("a\x1b[2Jb"), "a?[2Jb");             // clears the screen
  EXPECT_EQ(CleanText("\x1b]0;title\x07"), "?]0;title?");  // renames the window
  EXPECT_EQ(CleanText("\xc2\x9b"
                      "2J"),
            "?2J");  // CSI as one C1 character
  EXPECT_EQ(CleanText("\x9b"
                      "2J"),
            "?2J");  // and as a bare byte
  EXPECT_EQ(CleanText("over\rwritten\b\x7f"), "over?written??");
  EXPECT_EQ(CleanText("pump\xe2\x80\xae"
                      "gpj"),
            "pump?gpj");                                     // right-to-left override
  EXPECT_EQ(CleanText("\xe2\x81\xa6x\xe2\x81\xa9"), "?x?");  // isolates
  EXPECT_EQ(CleanText(std::string_view("\0", 1)), "?");
}

TEST(CleanText, KeepsTextAndItsLines) {
  EXPECT_EQ(CleanText("zwölf 泵\tlines\nof text"), "zwölf 泵 lines\nof text");
  EXPECT_EQ(CleanLine("one\ntwo"), "one two");
}

TEST(CleanText, TakesOnlyUtf8InItsShortestForm) {
  EXPECT_EQ(CleanText("\xc0\x9b"), "??");  // ESC in two bytes
  EXPECT_EQ(CleanText("\xe0\x80\x9b"), "???");
  EXPECT_EQ(CleanText("\xed\xa0\x80"), "???");       // a surrogate
  EXPECT_EQ(CleanText("\xf4\x90\x80\x80"), "????");  // past U+10FFFF
  EXPECT_EQ(CleanText("a\xe2\x82"), "a??");          // cut off
}

TEST(CleanJson, StaysTheSameJson) {
  codec::Json json = codec::Json::MakeObject();
  json.Set("a", "\x7f\xc2\x9b\xe2\x80\xae\xf3\xa0\x81\xa1\x1b\n泵");
  const std::string clean = CleanJson(json.SerializePretty());
  EXPECT_EQ(clean.find('\x7f'), std::string::npos);
  EXPECT_EQ(clean.find("\xc2\x9b"), std::string::npos);
  EXPECT_EQ(clean.find("\xe2\x80\xae"), std::string::npos);
  const auto parsed = codec::ParseJson(clean);
  ASSERT_TRUE(parsed) << clean;
  EXPECT_EQ(parsed->Serialize(), json.Serialize());
}

TEST(DisplayWidth, CountsColumnsNotBytes) {
  EXPECT_EQ(DisplayWidth("pump"), 4U);
  EXPECT_EQ(DisplayWidth("zwölf"), 5U);
  EXPECT_EQ(DisplayWidth("o\xcc\x88"), 1U);  // o and a combining diaeresis
  EXPECT_EQ(DisplayWidth("泵"), 2U);
}

TEST(Truncated, NeverCutsThroughACharacter) {
  EXPECT_EQ(Truncated("pump", 4), "pump");
  EXPECT_EQ(Truncated("pumps", 4), "pum…");
  EXPECT_EQ(Truncated("泵泵泵", 6), "泵泵泵");
  EXPECT_EQ(Truncated("泵泵泵", 5), "泵泵…");
  EXPECT_EQ(Truncated("泵泵泵", 4), "泵…") << "a wide character does not fit into one column";
  EXPECT_EQ(Truncated("x", 0), "");
}

TEST(FormatTable, IntoAPipeEveryValueIsWhole) {
  const std::string id(64, 'f');
  const std::string text = FormatTable({"ID", "WHAT"}, {{id, id}}, 0);
  EXPECT_EQ(text, "ID" + std::string(64, ' ') + "WHAT\n" + id + "  " + id + "\n");
}

TEST(FormatTable, FitsTheWidthAndCutsNeitherTheFirstColumnNorNumbers) {
  const std::string text =
      FormatTable({"ID", "SIZE", "TEXT"}, {{"plan-abcdefghijkl", "1234567890", std::string(60, 'x')}}, 50);
  EXPECT_NE(text.find("plan-abcdefghijkl  1234567890  xxx"), std::string::npos) << text;
  EXPECT_NE(text.find("…"), std::string::npos);
  size_t begin = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; begin = end + 1, end = text.find('\n', begin))
    EXPECT_LE(DisplayWidth(text.substr(begin, end - begin)), 50U);
}

TEST(FormatTable, LeavesOutWhatItCanSpareBeforeAnythingIsCut) {
  const std::vector<std::string> header = {"TIME", "AGO", "EVENT", "PLAN"};
  const Rows rows = {{"10:00:00", "3 min ago", "refused RollbackRefused", "plan-1"}};
  const std::vector<std::string> spare = {"AGO", "PLAN"};
  EXPECT_EQ(FormatTable(header, rows, 52, spare),
            "TIME      AGO        EVENT                    PLAN\n"
            "10:00:00  3 min ago  refused RollbackRefused  plan-1\n");
  EXPECT_EQ(FormatTable(header, rows, 51, spare),
            "TIME      EVENT                    PLAN\n10:00:00  refused RollbackRefused  plan-1\n");
  EXPECT_EQ(FormatTable(header, rows, 40, spare), "TIME      EVENT\n10:00:00  refused RollbackRefused\n");
  EXPECT_EQ(FormatTable(header, rows, 20, spare), "TIME      EVENT\n10:00:00  refused R…\n");
  EXPECT_EQ(FormatTable(header, rows, 0, spare), FormatTable(header, rows, 0)) << "a pipe gets all";
}

TEST(FormatWrappedTable, SentencesGoOnInLinesOfTheirOwn) {
  const std::string words = "fleetseal user add under a new name, then user revoke the old one /a/path/that/is/long";
  const Rows rows = {{"certificate of operator", "89", words}, {"package", "9", "publish"}};
  const std::string text = FormatWrappedTable({"WHAT", "DAYS", "HOW"}, rows, 60);
  EXPECT_EQ(text,
            "WHAT                     DAYS  HOW\n"
            "certificate of operator    89  fleetseal user add under a\n"
            "                               new name, then user revoke\n"
            "                               the old one\n"
            "                               /a/path/that/is/long\n"
            "package                     9  publish\n");
  EXPECT_NE(FormatWrappedTable({"WHAT", "DAYS", "HOW"}, rows, 0).find(words), std::string::npos);
}

TEST(FormatWrappedTable, WhereThereIsNoRoomOtherColumnsAreCutFirstAndNoWordIs) {
  const std::string word(40, 'w');
  const std::string text = FormatWrappedTable({"A", "B", "HOW"}, {{"a", std::string(50, 'b'), "see " + word}}, 50);
  EXPECT_NE(text.find("…"), std::string::npos) << text;
  EXPECT_NE(text.find(word), std::string::npos) << text;
}

TEST(WrapHelp, GoesOnBelowTheDescriptionAndLeavesCommandsWhole) {
  const std::string command = "  fleetseal device allow pump-17 --product acme/pump --property model=pump-1\n";
  EXPECT_EQ(
      WrapHelp("  --yes        a device that is there already: begin a new generation\nExample:\n" + command, 50),
      "  --yes        a device that is there already:\n               begin a new generation\nExample:\n" + command);
  EXPECT_EQ(WrapHelp("one two three four five six seven eight nine ten eleven\n\nend", 40),
            "one two three four five six seven eight\nnine ten eleven\n\nend\n");
  EXPECT_EQ(WrapHelp("  --a-very-long-name-of-an-option TEXT  what it means\n", 40),
            "  --a-very-long-name-of-an-option TEXT\n    what it means\n");
}

TEST(FormatCount, OneOfThemIsNotMany) {
  EXPECT_EQ(FormatCount(0, "device"), "0 devices");
  EXPECT_EQ(FormatCount(1, "device"), "1 device");
  EXPECT_EQ(FormatCount(2, "order"), "2 orders");
}

TEST(FormatTable, NumbersStandOnTheRight) {
  EXPECT_EQ(FormatTable({"A", "SIZE"}, {{"x", "9 B"}, {"y", "1.5 MiB"}}, 0), "A     SIZE\nx      9 B\ny  1.5 MiB\n");
}

TEST(FormatTable, ALineFeedInACellMakesNoRow) {
  EXPECT_EQ(FormatTable({"A", "B"}, {{"x\nfake", "\x1b[0m"}}, 0), "A       B\nx fake  ?[0m\n");
}

TEST(Formats, SayNumbersForPeople) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(UINT64_MAX), "16777215.9 TiB");
  EXPECT_EQ(FormatSeconds(59), "59 s");
  EXPECT_EQ(FormatSeconds(200), "3 min 20 s");
  EXPECT_EQ(FormatSeconds(86'400), "1 day");
  EXPECT_EQ(FormatRelative({100}, {100}), "now");
  EXPECT_EQ(FormatRelative({100}, {105}), "5 s ago");
  EXPECT_EQ(FormatRelative({7305}, {105}), "in 2 h 0 min");
}

TEST(ProgressText, HasBytesShareRateAndTimeLeft) {
  EXPECT_EQ(ProgressText("importing", 1024 * 1024, 4 * 1024 * 1024, 1024 * 1024),
            "importing  1.0 MiB of 4.0 MiB  25%  1.0 MiB/s  4 s left");
  EXPECT_EQ(ProgressText("importing", 0, 10, 0), "importing  0 B of 10 B  0%");
  EXPECT_EQ(ProgressText("importing", 0, 0, 0), "importing  0 B of 0 B  100%");
}

}  // namespace
}  // namespace fleetseal::cli
