#include "api/problem/problem.h"

#include <gtest/gtest.h>

namespace fleetseal::api {
namespace {

TEST(Problem, HoldsTheMembersOfRfc9457AndOurs) {
  const codec::Json problem = BuildProblem(ErrorCode::kNotFound, "r-1", "no device d1");
  EXPECT_EQ(
      problem.Serialize(),
      R"({"type":"urn:fleetseal:error:NotFound","title":"the named object does not exist","status":404,)"
      R"("code":"NotFound","detail":"no device d1","advice":"check the id with the list command","requestId":"r-1"})");
}

TEST(Problem, InternalFailuresNeverCarryADetail) {
  for (const ErrorCode code :
       {ErrorCode::kInternal, ErrorCode::kStorageFailed, ErrorCode::kCorrupt, ErrorCode::kNoSpace,
        ErrorCode::kConfigInvalid, ErrorCode::kProcessFailed, ErrorCode::kLogNotWritable}) {
    EXPECT_EQ(BuildProblem(code, "r-1", "password=hunter2 at /var/lib").Find("detail"), nullptr) << ErrorCodeName(code);
  }
}

TEST(Problem, EveryCodeComesBackFromItsProblem) {
  for (const ErrorCodeInfo& info : AllErrorCodes()) {
    const codec::Json problem = BuildProblem(info.code, "r-1", "why");
    EXPECT_EQ(ParseProblem(info.http_status, problem.Serialize()).code, info.code) << info.name;
  }
}

TEST(Problem, AnAnswerThatIsNoProblemGetsTheCodeOfItsStatus) {
  EXPECT_EQ(ParseProblem(404, "<html>nginx</html>").code, ErrorCode::kNotFound);
  EXPECT_EQ(ParseProblem(503, "").code, ErrorCode::kUnreachable);
  EXPECT_EQ(ParseProblem(500, "[1]").code, ErrorCode::kProtocolError);
  EXPECT_EQ(ParseProblem(418, R"({"code":"Teapot"})").code, ErrorCode::kInvalidArgument);
}

TEST(Problem, ForeignTextIsCleanedAndCut) {
  const Error error =
      ParseProblem(403, "{\"code\":\"Withdrawn\",\"detail\":\"\\u001b[31m" + std::string(5000, 'x') + "\"}");
  EXPECT_EQ(error.code, ErrorCode::kWithdrawn);
  EXPECT_EQ(error.detail.find('\x1b'), std::string::npos);
  EXPECT_LT(error.detail.size(), 500u);
}

TEST(Problem, TheRequestIdIsShownToThePerson) {
  const Error error = ParseProblem(403, BuildProblem(ErrorCode::kRoleMissing, "abc-7").Serialize());
  EXPECT_NE(error.detail.find("abc-7"), std::string::npos);
}

}  // namespace
}  // namespace fleetseal::api
