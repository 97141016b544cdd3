// Bodies come back as they were written, and unknown members are refused.
#include <gtest/gtest.h>

#include "api/admin/fleet.h"
#include "api/admin/requests.h"

namespace fleetseal::api::admin {
namespace {

template <typename T>
void ExpectStrictRoundTrip(const std::string& text) {
  const Result<T> parsed = T::Parse(std::string_view(text));
  ASSERT_TRUE(parsed.has_value()) << text << " " << parsed.error().ToString();
  std::string again;
  if constexpr (requires { parsed->Build(); })
    again = parsed->Build();
  else
    again = parsed->ToJson().Serialize();
  EXPECT_EQ(again, text);
  const Result<T> extended = T::Parse(std::string_view(text.substr(0, text.size() - 1) + R"(,"unknown":1})"));
  ASSERT_FALSE(extended.has_value());
  EXPECT_EQ(extended.error().code, ErrorCode::kMemberUnknown);
}

const std::string kHash(43, 'A');
const std::string kHex(64, '0');

std::string RowMembers() {
  return R"("requestId":"r1","product":"acme/gateway","version":"1.2","requester":"paula","state":"waiting","manifestSha256":")" +
         kHash + R"(","approved":["anna"],"needed":2,"issued":1,"expires":2,"reason":"no")";
}

TEST(AdminBodies, RequestsRoundTripStrictly) {
  ExpectStrictRoundTrip<WhoAmI>(R"({"id":"paula","roles":["publisher"],"products":["*"]})");
  ExpectStrictRoundTrip<SubmitRequest>(R"({"request":"a.b.c","manifest":"e30"})");
  ExpectStrictRoundTrip<SubmitAnswer>(R"({"requestId":"r1","payload":"{}","payloadSha256":")" + kHash +
                                      R"(","keyThumbprint":")" + kHash + R"(","policySha256":")" + kHash +
                                      R"(","approvals":1,"state":"signed","manifestSignature":"a.b.c","logIndex":4})");
  ExpectStrictRoundTrip<ApproveRequest>(R"({"approval":"a.b.c"})");
  ExpectStrictRoundTrip<ApproveAnswer>(
      R"({"requestId":"r1","state":"signed","approved":1,"needed":1,"manifestSignature":"a.b.c","logIndex":4})");
  ExpectStrictRoundTrip<RequestList>(R"({"requests":[{)" + RowMembers() + "}]}");
  ExpectStrictRoundTrip<RequestDetail>("{" + RowMembers() + R"(,"request":"a.b.c","payload":"{}","payloadSha256":")" +
                                       kHash + R"(","keyThumbprint":")" + kHash + R"(","policySha256":")" + kHash +
                                       R"(","policy":"{}","manifest":"e30","approvals":["a.b.c"]})");
}

TEST(AdminBodies, RegisterBodiesRoundTripStrictly) {
  ExpectStrictRoundTrip<RegisterChangeRequest>(R"({"jws":["a.b.c"]})");
  EXPECT_FALSE(RegisterChangeRequest::Parse(R"({"jws":[]})").has_value());
  ExpectStrictRoundTrip<RegisterChangeAnswer>(R"({"sequence":1,"changes":2})");
  ExpectStrictRoundTrip<PersonCertificateRequest>(R"({"csr":"AAAA"})");
  ExpectStrictRoundTrip<PersonCertificateAnswer>(R"({"id":"paula","certificate":"PEM"})");
  ExpectStrictRoundTrip<PeopleAnswer>(
      R"({"people":[{"id":"paula","roles":["publisher"],"products":["*"],"kid":"k","state":"active","securityKey":true}],"policies":[{"a":1}],"sequence":3,"securityQuorum":2,"cursor":"c"})");
  ExpectStrictRoundTrip<RevocationRequest>(R"({"revocation":"a.b.c"})");
  ExpectStrictRoundTrip<RevocationAnswer>(R"({"kind":"device","subject":"d","action":"revoke"})");
  ExpectStrictRoundTrip<PackageRequest>(R"({"package":"{}"})");
  ExpectStrictRoundTrip<PackageAnswer>(R"({"version":2})");
  ExpectStrictRoundTrip<AuditAnswer>(R"({"entries":[{"index":0,"leaf":"{}"}],"size":1})");
}

TEST(AdminBodies, FleetBodiesRoundTripStrictly) {
  const std::string update =
      R"({"id":")" + kHex +
      R"(","product":"acme/gateway","version":"1.2","releaseCounter":3,"state":"signed","files":[{"fileId":"f1","fileName":"a.img","size":5,"sealedSha256":")" +
      kHash + R"(","sealedSize":61}],"requestId":"r1","created":9})";
  ExpectStrictRoundTrip<UpdateRow>(update);
  ExpectStrictRoundTrip<UpdateList>(R"({"updates":[)" + update + R"(],"cursor":"4"})");
  ExpectStrictRoundTrip<DocumentsAnswer>(
      R"({"manifest":"e30","manifestSignature":"a.b.c","packages":["{}"],"logProof":"p","checkpoint":"c","status":"a.b.c","order":"a.b.c"})");
  ExpectStrictRoundTrip<UploadAnswer>(R"({"sealedSha256":")" + kHash + R"(","sealedSize":61})");
  ExpectStrictRoundTrip<PlanRequest>(R"({"plan":"a.b.c"})");
  ExpectStrictRoundTrip<PlanAnswer>(R"({"planId":"p","devices":2,"bytes":3})");
  ExpectStrictRoundTrip<StartAnswer>(R"({"planId":"p","orders":2,"failed":[{"deviceId":"d","code":"DeviceUnknown"}]})");
  const std::string rollout =
      R"({"planId":"p","update":")" + kHex +
      R"(","state":"running","counts":{"waiting":1,"offered":2,"installed":3,"refused":4,"failed":5,"cancelled":6},"devices":[{"id":"d","state":"failed","code":"NoSpace"},{"id":"e","state":"waiting","lacksContent":true}],"cursor":"d","plannedDevices":7})";
  ExpectStrictRoundTrip<RolloutRow>(rollout);
  ExpectStrictRoundTrip<RolloutList>(R"({"rollouts":[)" + rollout + "]}");
  const std::string device =
      R"({"id":"d","state":"active","generation":1,"product":"acme/gateway","environment":"production","properties":{"model":"g1"},"hasKeys":true,"lastSeen":4,"releaseCounter":2,"manifestSha256":")" +
      kHash + R"(","phase":"idle","agentVersion":"1"})";
  ExpectStrictRoundTrip<DeviceRow>(device);
  ExpectStrictRoundTrip<DeviceList>(R"({"devices":[)" + device + R"(],"cursor":"d"})");
  ExpectStrictRoundTrip<TimelineAnswer>(R"({"events":[{"time":1,"event":"receipt","planId":"p","manifestSha256":")" +
                                        kHash + R"(","outcome":"refused","code":"NoSpace"}],"cursor":"1"})");
  ExpectStrictRoundTrip<GroupRequest>(R"({"name":"pilot","description":"x"})");
  ExpectStrictRoundTrip<GroupMembersRequest>(R"({"members":["d"]})");
  const std::string group = R"({"name":"pilot","description":"x","count":1,"members":["d"]})";
  ExpectStrictRoundTrip<GroupRow>(group);
  ExpectStrictRoundTrip<GroupList>(R"({"groups":[)" + group + "]}");
}

}  // namespace
}  // namespace fleetseal::api::admin
